package tlsrpt

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/netip"
	"testing"
	"time"
)

// The names and the form of each value are those of RFC 8460 section 4.4; the
// text here was written from there, not taken from the encoder.
func TestReport(t *testing.T) {
	r := Report{
		Organization: "Company-X", Range: Day(time.Date(2026, 4, 1, 13, 59, 0, 0, time.FixedZone("", 3600))),
		Contact: "sts-reporting@company-x.example", ID: "5065427c",
		Policies: []PolicySummary{{
			Policy: PolicyWords{
				Type: PolicySTS.String(), Text: []string{"version: STSv1", "mode: testing", "mx: *.mail.company-y.example", "max_age: 86400"},
				Domain: "company-y.example", Hosts: []string{"*.mail.company-y.example"},
			},
			Summary: Summary{Good: 5326, Bad: 303},
			Failures: []Failure{
				{Result: string(FaultExpired), From: netip.MustParseAddr("2001:db8:abcd:0012::1"), Host: "mx1.mail.company-y.example", Count: 100},
				{Result: string(FaultNoSTARTTLS), Host: "mx2", To: netip.MustParseAddr("203.0.113.56"), Count: 200, Reason: "X"},
			},
		}, {Policy: PolicyWords{Type: PolicyNone.String(), Domain: "company-y.example"}, Summary: Summary{Good: 1}}},
	}
	packed, err := r.Gzip()
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	var got, want bytes.Buffer
	if err := json.Indent(&got, text, "", " "); err != nil {
		t.Fatal(err)
	}
	const rfc = `{
		"organization-name": "Company-X",
		"date-range": {"start-datetime": "2026-04-01T00:00:00Z", "end-datetime": "2026-04-01T23:59:59Z"},
		"contact-info": "sts-reporting@company-x.example",
		"report-id": "5065427c",
		"policies": [{
			"policy": {
				"policy-type": "sts",
				"policy-string": ["version: STSv1", "mode: testing", "mx: *.mail.company-y.example", "max_age: 86400"],
				"policy-domain": "company-y.example",
				"mx-host": ["*.mail.company-y.example"]
			},
			"summary": {"total-successful-session-count": 5326, "total-failure-session-count": 303},
			"failure-details": [
				{"result-type": "certificate-expired", "sending-mta-ip": "2001:db8:abcd:12::1", "receiving-mx-hostname": "mx1.mail.company-y.example", "failed-session-count": 100},
				{"result-type": "starttls-not-supported", "receiving-mx-hostname": "mx2", "receiving-ip": "203.0.113.56", "failed-session-count": 200, "failure-reason-code": "X"}
			]
		}, {
			"policy": {"policy-type": "no-policy-found", "policy-domain": "company-y.example"},
			"summary": {"total-successful-session-count": 1, "total-failure-session-count": 0}
		}]
	}`
	if err := json.Indent(&want, []byte(rfc), "", " "); err != nil {
		t.Fatal(err)
	}
	if compact(t, got.Bytes()) != compact(t, want.Bytes()) {
		t.Errorf("%s\nwant\n%s", &got, &want)
	}
	if again, err := r.Gzip(); err != nil || !bytes.Equal(again, packed) {
		t.Errorf("packed anew it is another, %v", err)
	}
}

func compact(t *testing.T, text []byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// RFC 8460 section 5.1.
func TestFileName(t *testing.T) {
	r := Day(time.Unix(1470013207, 0))
	if got, want := FileName("mail.sndr.example.com", "example.net", r, "001"), "mail.sndr.example.com!example.net!1470009600!1470095999!001.json.gz"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// Each word is a result type of RFC 8460 section 4.3, or goes as one.
func TestResult(t *testing.T) {
	for f, want := range map[Fault]string{FaultName: "certificate-host-mismatch", FaultUnlisted: "validation-failure mx-not-in-policy", FaultRemembered: "validation-failure plaintext-after-fault"} {
		result, reason := f.Result()
		if reason != "" {
			result += " " + reason
		}
		if result != want {
			t.Errorf("%s, want %s", result, want)
		}
	}
}
