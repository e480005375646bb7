package arf

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tenma/relay/wire/smtp"
)

func TestParse(t *testing.T) {
	for name, tc := range map[string]struct {
		in   string
		want Report
	}{
		"RFC 5965 appendix B.2": {
			"Feedback-Type: abuse\r\nUser-Agent: SomeGenerator/1.0\r\nVersion: 1\r\nOriginal-Mail-From: <somespammer@example.net>\r\n" +
				"Original-Rcpt-To: <user@example.com>\r\nArrival-Date: Thu, 8 Mar 2005 14:00:00 -0500\r\nReporting-MTA: dns; mail.example.com\r\n" +
				"Source-IP: 192.0.2.1\r\nAuthentication-Results: mail.example.com;\r\n               smtp.mail=somespammer@example.com;\r\n               spf=fail\r\n" +
				"Reported-Domain: example.net\r\nReported-Uri: http://example.net/earn_money.html\r\nRemoval-Recipient: user@example.com\r\n",
			Report{
				Type: Abuse, UserAgent: "SomeGenerator/1.0", MailFrom: smtp.Address{Local: "somespammer", Domain: "example.net"},
				Recipients: []smtp.Address{{Local: "user", Domain: "example.com"}}, Removal: []smtp.Address{{Local: "user", Domain: "example.com"}},
				Arrival:      time.Date(2005, 3, 8, 19, 0, 0, 0, time.UTC),
				ReportingMTA: "mail.example.com", SourceIP: netip.MustParseAddr("192.0.2.1"), Domains: []string{"example.net"}, Incidents: 1,
			},
		},
		"an empty line before, several recipients, many incidents": {
			"\nFeedback-Type: Abuse; x\nOriginal-Rcpt-To: a@b.test, rfc822; c@d.test\nOriginal-Rcpt-To: hashed\nIncidents: 12\nSource-IP: [2001:db8::1]\nArrival-Date: yesterday\n",
			Report{Type: Abuse, Recipients: []smtp.Address{{Local: "a", Domain: "b.test"}, {Local: "c", Domain: "d.test"}}, SourceIP: netip.MustParseAddr("2001:db8::1"), Incidents: 12},
		},
	} {
		got, err := Parse([]byte(tc.in))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		opts := cmp.Options{cmpopts.EquateComparable(netip.Addr{}), cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })}
		if diff := cmp.Diff(&tc.want, got, opts); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
	for _, in := range []string{"", "User-Agent: x\r\n", "no field at all", strings.Repeat("X: y\r\n", MaxReport) + "Feedback-Type: abuse\r\n"} {
		if r, err := Parse([]byte(in)); !errors.Is(err, ErrSyntax) {
			t.Errorf("%.40q: %+v, %v", in, r, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("Feedback-Type: abuse\r\nOriginal-Rcpt-To: <a@b.test>,\r\n c@d.test\r\nIncidents: -1\r\n"))
	f.Add([]byte("Feedback-Type: x\nArrival-Date: Thu, 8 Mar 2005 14:00:00 -0500 (EST)\nSource-IP: 1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Parse(b)
		if err != nil {
			return
		}
		if r.Type == "" || r.Incidents < 1 || len(r.Recipients) > MaxRecipients || len(r.Domains) > MaxRecipients {
			t.Errorf("%+v", r)
		}
	})
}
