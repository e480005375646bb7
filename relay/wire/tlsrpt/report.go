package tlsrpt

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"
)

// Media types of reports (RFC 8460 section 6.4 and 6.5).
const (
	TypeJSON = "application/tlsrpt+json"
	TypeGzip = "application/tlsrpt+gzip"
)

// Report is what one sender tells one domain of one day (RFC 8460 section 4.4).
// Its fields stand in the order of the RFC.
type Report struct {
	Organization string          `json:"organization-name"`
	Range        Range           `json:"date-range"`
	Contact      string          `json:"contact-info"` // an address
	ID           string          `json:"report-id"`
	Policies     []PolicySummary `json:"policies"`
}

// Range is the time that a report is about, its last second included, in UTC.
type Range struct {
	Start time.Time `json:"start-datetime"`
	End   time.Time `json:"end-datetime"`
}

// Day is the range from 00:00 to 24:00 UTC of the day that t is in (RFC 8460
// section 4.1).
func Day(t time.Time) Range {
	start := t.UTC().Truncate(24 * time.Hour)
	return Range{Start: start, End: start.Add(24*time.Hour - time.Second)}
}

// PolicySummary tells what became of the sessions under one policy.
type PolicySummary struct {
	Policy   PolicyWords `json:"policy"`
	Summary  Summary     `json:"summary"`
	Failures []Failure   `json:"failure-details,omitempty"`
}

// PolicyWords is a policy as it was found.
type PolicyWords struct {
	Type   string   `json:"policy-type"`             // Policy.String
	Text   []string `json:"policy-string,omitempty"` // TLSA records, or the lines of the MTA-STS policy
	Domain string   `json:"policy-domain"`           // in A-labels
	Hosts  []string `json:"mx-host,omitempty"`       // patterns of the MTA-STS policy, or the host that TLSA records are of
}

// Summary counts sessions.
type Summary struct {
	Good uint64 `json:"total-successful-session-count"`
	Bad  uint64 `json:"total-failure-session-count"`
}

// Failure counts sessions that failed in one way. Fields that are not known stay
// away.
type Failure struct {
	Result string     `json:"result-type"`
	From   netip.Addr `json:"sending-mta-ip,omitzero"`
	Host   string     `json:"receiving-mx-hostname,omitempty"`
	To     netip.Addr `json:"receiving-ip,omitzero"`
	Count  uint64     `json:"failed-session-count"`
	Reason string     `json:"failure-reason-code,omitempty"`
}

// Gzip gives the report as RFC 8460 section 5.2 wants it sent. The same report
// gives the same octets.
func (r *Report) Gzip() ([]byte, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("tlsrpt: report: %w", err)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(text); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// FileName is the name under which a report is sent (RFC 8460 section 5.1).
// submitter is the domain of whoever made it, unique tells reports of one day
// apart and has letters and digits only.
func FileName(submitter, domain string, r Range, unique string) string {
	return fmt.Sprintf("%s!%s!%d!%d!%s.json.gz", submitter, domain, r.Start.Unix(), r.End.Unix(), unique)
}
