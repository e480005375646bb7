package mtasts_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"tenma/relay/wire/mtasts"
)

func TestParseRecord(t *testing.T) {
	for _, c := range []struct {
		why   string
		texts []string
		id    string
		err   error
	}{
		{"usual", []string{"v=STSv1; id=20160831085700Z;"}, "20160831085700Z", nil},
		{"without spaces and end", []string{"v=STSv1;id=a"}, "a", nil},
		{"beside others", []string{"v=spf1 -all", "v=STSv1; id=a;", "hello"}, "a", nil},
		{"unknown fields", []string{"v=STSv1; x=y; id=a; z=1"}, "a", nil},
		{"space before the semicolon", []string{"v=STSv1 ; id=a ;"}, "a", nil},
		{"the first id counts", []string{"v=STSv1; id=a; id=b"}, "a", nil},
		{"32 octets", []string{"v=STSv1; id=" + strings.Repeat("a", 32)}, strings.Repeat("a", 32), nil},
		{"none", nil, "", mtasts.ErrNoRecord},
		{"another version", []string{"v=STSv2; id=a"}, "", mtasts.ErrNoRecord},
		{"version in small letters", []string{"v=stsv1; id=a"}, "", mtasts.ErrNoRecord},
		{"version not first", []string{"id=a; v=STSv1"}, "", mtasts.ErrNoRecord},
		{"two", []string{"v=STSv1; id=a", "v=STSv1; id=a"}, "", mtasts.ErrRecord},
		{"two without anything", []string{"v=STSv1", "v=STSv1"}, "", mtasts.ErrRecord},
		{"no id", []string{"v=STSv1;"}, "", mtasts.ErrRecord},
		{"empty id", []string{"v=STSv1; id=;"}, "", mtasts.ErrRecord},
		{"id too long", []string{"v=STSv1; id=" + strings.Repeat("a", 33)}, "", mtasts.ErrRecord},
		{"id with other octets", []string{"v=STSv1; id=a-b"}, "", mtasts.ErrRecord},
		{"no field", []string{"v=STSv1; id"}, "", mtasts.ErrRecord},
	} {
		if id, err := mtasts.ParseRecord(c.texts); id != c.id || !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
			t.Errorf("%s: %q, %v", c.why, id, err)
		}
	}
}

func TestParse(t *testing.T) {
	const good = "version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.Example.net\nmax_age: 604800\n"
	want := &mtasts.Policy{Mode: mtasts.Enforce, MaxAge: 604800 * time.Second, MX: []string{"mail.example.com", "*.example.net"}}
	for _, c := range []struct {
		why, text string
		want      *mtasts.Policy
	}{
		{"usual", good, want},
		{"CRLF", strings.ReplaceAll(good, "\n", "\r\n"), want},
		{"no end of line", strings.TrimSuffix(good, "\n"), want},
		{"no spaces", strings.ReplaceAll(good, ": ", ":"), want},
		{"spaces at the end", strings.ReplaceAll(good, "\n", " \t\n"), want},
		{"unknown fields", good + "x-new: whatever: yes\n", want},
		{"the first counts", good + "mode: none\nmax_age: 1\nversion: STSv2\n", want},
		{"another order", "max_age: 604800\nmx: mail.example.com\nmode: enforce\nmx: *.example.net\nversion: STSv1", want},
		{"testing", "version: STSv1\nmode: testing\nmx: a\nmax_age: 0", &mtasts.Policy{Mode: mtasts.Testing, MX: []string{"a"}}},
		{"none, without hosts", "version: STSv1\nmode: none\nmax_age: 60", &mtasts.Policy{MaxAge: time.Minute}},
		{"a year at most", "version: STSv1\nmode: none\nmax_age: 9999999999", &mtasts.Policy{MaxAge: 31557600 * time.Second}},
		{"too large", good + strings.Repeat("\n", mtasts.MaxSize), nil},
		{"empty", "", nil},
		{"a web page", "<html><body>Not found</body></html>", nil},
		{"no version", strings.Replace(good, "version: STSv1\n", "", 1), nil},
		{"another version", strings.Replace(good, "STSv1", "STSv2", 1), nil},
		{"no mode", strings.Replace(good, "mode: enforce\n", "", 1), nil},
		{"another mode", strings.Replace(good, "enforce", "Enforce", 1), nil},
		{"no age", strings.Replace(good, "max_age: 604800\n", "", 1), nil},
		{"age that is no number", strings.Replace(good, "604800", "1d", 1), nil},
		{"age below 0", strings.Replace(good, "604800", "-1", 1), nil},
		{"age of eleven digits", strings.Replace(good, "604800", "00000604800", 1), nil},
		{"no host", "version: STSv1\nmode: enforce\nmax_age: 1", nil},
		{"star alone", good + "mx: *\n", nil},
		{"star inside", good + "mx: a.*.example\n", nil},
		{"star in a label", good + "mx: *mail.example\n", nil},
		{"two stars", good + "mx: *.*.example\n", nil},
		{"empty label", good + "mx: a..b\n", nil},
		{"not ASCII", good + "mx: müller.example\n", nil},
		{"no host in the field", good + "mx:\n", nil},
	} {
		p, err := mtasts.Parse([]byte(c.text))
		if c.want == nil && (!errors.Is(err, mtasts.ErrPolicy) || p != nil) || c.want != nil && (err != nil || !reflect.DeepEqual(p, c.want)) {
			t.Errorf("%s: %+v, %v", c.why, p, err)
		}
	}
}

func TestAllows(t *testing.T) {
	p := &mtasts.Policy{MX: []string{"mail.example.com", "*.example.net"}}
	for host, want := range map[string]bool{
		"mail.example.com": true, "MAIL.example.com.": true, "a.mail.example.com": false, "example.com": false,
		"a.example.net": true, "A.EXAMPLE.NET": true, "a.b.example.net": false, "example.net": false, ".example.net": false, "": false,
		"xexample.net": false, "mail.example.com.evil.test": false,
	} {
		if p.Allows(host) != want {
			t.Errorf("%q: %v", host, !want)
		}
	}
}

func TestNames(t *testing.T) {
	if got := mtasts.URL("example.com"); got != "https://mta-sts.example.com/.well-known/mta-sts.txt" {
		t.Error(got)
	}
	if got := mtasts.RecordName("example.com"); got != "_mta-sts.example.com" {
		t.Error(got)
	}
}

// Whatever comes: bounded, and what was understood is understood again.
func FuzzParse(f *testing.F) {
	f.Add([]byte("version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\nmax_age: 604800\n"))
	f.Add([]byte("version:STSv1\r\nmode:testing\r\nmx:a\r\nmax_age:0\r\nx:y"))
	f.Add([]byte("version: STSv1\nmode: none\nmax_age: 9999999999"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := mtasts.Parse(text)
		if err != nil {
			return
		}
		if p.MaxAge < 0 || p.MaxAge > 31557600*time.Second || p.Mode != mtasts.None && len(p.MX) == 0 || p.Allows("") {
			t.Errorf("%+v", p)
		}
		again, err := mtasts.Parse([]byte(p.String()))
		if err != nil || !reflect.DeepEqual(p, again) {
			t.Errorf("%+v became %+v, %v", p, again, err)
		}
	})
}

func FuzzParseRecord(f *testing.F) {
	f.Add("v=STSv1; id=20160831085700Z;", "v=spf1 -all")
	f.Add("v=STSv1 ;x=y;id=a", "v=STSv1;id=b")
	f.Fuzz(func(t *testing.T, one, two string) {
		id, err := mtasts.ParseRecord([]string{one, two})
		if (id == "") != (err != nil) || len(id) > 32 {
			t.Errorf("%q, %v", id, err)
		}
	})
}
