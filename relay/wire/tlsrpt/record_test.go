package tlsrpt

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestParseRecord(t *testing.T) {
	for _, c := range []struct {
		name  string
		texts []string
		want  string // places, or the start of the error
	}{
		{"a mailbox", []string{"v=TLSRPTv1; rua=mailto:tls@a.test"}, "mailto:tls@a.test"},
		{"a URL", []string{"v=TLSRPTv1;rua=https://r.a.test/v1?x=1;"}, "https://r.a.test/v1?x=1"},
		{"both, blanks", []string{"v=TLSRPTv1 ; rua=mailto:tls@a.test ,\thttps://r.a.test ; "}, "mailto:tls@a.test https://r.a.test"},
		{"two fields", []string{"v=TLSRPTv1;rua=mailto:a@a.test;rua=mailto:b@a.test"}, "mailto:a@a.test mailto:b@a.test"},
		{"a field of a later version", []string{"v=TLSRPTv1;x-1=?!;rua=mailto:a@a.test"}, "mailto:a@a.test"},
		{"others' records", []string{"v=spf1 -all", "v=TLSRPTv2;rua=mailto:no@a.test", "v=TLSRPTv1;rua=mailto:a@a.test", ""}, "mailto:a@a.test"},
		{"encoded", []string{"v=TLSRPTv1;rua=mailto:a%2Cb%21c%40x@a.test"}, "tlsrpt: record is not valid"},
		{"encoded local part", []string{"v=TLSRPTv1;rua=mailto:a%21b@a.test?subject=owned"}, "mailto:a!b@a.test"},
		{"unknown schemes are passed over", []string{"v=TLSRPTv1;rua=http://a.test,ftp://a.test,mailto:a@a.test"}, "mailto:a@a.test"},
		{"five", []string{"v=TLSRPTv1;rua=mailto:1@a.test,mailto:2@a.test,mailto:3@a.test,mailto:4@a.test,mailto:5@a.test"}, "mailto:1@a.test mailto:2@a.test mailto:3@a.test mailto:4@a.test"},

		{"none", nil, "tlsrpt: no record"},
		{"no field", []string{"v=TLSRPTv1"}, "tlsrpt: no record"},
		{"upper case", []string{"V=tlsrptv1;rua=mailto:a@a.test"}, "tlsrpt: no record"},
		{"several", []string{"v=TLSRPTv1;rua=mailto:a@a.test", "v=TLSRPTv1;rua=mailto:a@a.test"}, "tlsrpt: record is not valid: there are several"},
		{"several, one broken", []string{"v=TLSRPTv1;", "v=TLSRPTv1;rua=mailto:a@a.test"}, "tlsrpt: record is not valid: there are several"},
		{"no place", []string{"v=TLSRPTv1;x=y"}, "tlsrpt: record is not valid"},
		{"no value", []string{"v=TLSRPTv1;rua="}, "tlsrpt: record is not valid"},
		{"no pair", []string{"v=TLSRPTv1;rua"}, "tlsrpt: record is not valid"},
		{"name too long", []string{"v=TLSRPTv1;" + strings.Repeat("x", 33) + "=y;rua=mailto:a@a.test"}, "tlsrpt: record is not valid"},
		{"a password", []string{"v=TLSRPTv1;rua=https://u:p@a.test/"}, "tlsrpt: record is not valid"},
		{"no host", []string{"v=TLSRPTv1;rua=https:///x"}, "tlsrpt: record is not valid"},
		{"an address literal", []string{"v=TLSRPTv1;rua=mailto:a@[127.0.0.1]"}, "tlsrpt: record is not valid"},
		{"header fields", []string{"v=TLSRPTv1;rua=mailto:a%0d%0aBcc:b@a.test"}, "tlsrpt: record is not valid"},
		{"postmaster of nowhere", []string{"v=TLSRPTv1;rua=mailto:postmaster"}, "tlsrpt: record is not valid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			places, err := ParseRecord(c.texts)
			got := ""
			for _, p := range places {
				got += " " + p.String()
			}
			if err != nil {
				got = " " + err.Error()
			}
			if got = got[1:]; got != c.want && (err == nil || !strings.HasPrefix(got, c.want)) {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add("v=TLSRPTv1; rua=mailto:tls@a.test,https://r.a.test/v1", "v=spf1 -all")
	f.Add("v=TLSRPTv1;rua=mailto:%41@a.test;x=y", "")
	f.Add("v=TLSRPTv1;rua=https://[::1]:1/%zz", "v=TLSRPTv1;")
	f.Fuzz(func(t *testing.T, a, b string) {
		places, err := ParseRecord([]string{a, b})
		if err != nil {
			if !errors.Is(err, ErrNoRecord) && !errors.Is(err, ErrRecord) || places != nil {
				t.Fatal(err)
			}
			return
		}
		if len(places) == 0 || len(places) > MaxPlaces {
			t.Fatalf("%d places", len(places))
		}
		for _, p := range places {
			if p.Mailbox.IsNull() == (p.URL == nil) {
				t.Fatalf("%+v is not one of both", p)
			}
			if slices.ContainsFunc([]byte(p.Mailbox.String()), func(c byte) bool { return c < ' ' || c == 0x7f }) {
				t.Fatalf("%q would end a line of a header", p.Mailbox)
			}
			if p.URL != nil && (p.URL.Scheme != "https" || p.URL.User != nil || p.URL.Hostname() == "") {
				t.Fatalf("%q", p.URL)
			}
		}
	})
}
