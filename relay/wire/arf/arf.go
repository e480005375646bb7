// Package arf reads complaints in the abuse reporting format (RFC 5965): what a
// mailbox provider sends when one of its people presses the spam button.
//
// A complaint is a multipart/report message whose second part, of type
// message/feedback-report, has fields for programs, and whose third part is the
// message complained of, or its header. Parse reads the second. Providers leave
// out what would tell who complained; what is needed to find it out again has to
// be in the original message.
//
//	RFC 5965 section 3.1  fields that must be there    read; none is insisted on but one
//	RFC 5965 section 3.2  fields that may be there     read
//	RFC 6591              reports of failed checks     Feedback-Type and the common fields
package arf

import (
	"errors"
	"fmt"
	"net/mail"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"tenma/relay/wire/header"
	"tenma/relay/wire/smtp"
)

// Bounds of what Parse reads and keeps.
const (
	MaxReport     = 64 << 10 // octets of a report looked at
	MaxRecipients = 1000     // of each of the fields that repeat
)

// ErrSyntax is wrapped by Parse for what is no report.
var ErrSyntax = errors.New("not a feedback report")

// Feedback types of RFC 5965 section 7.3, RFC 6430 and RFC 6591.
const (
	Abuse       = "abuse"
	Fraud       = "fraud"
	Virus       = "virus"
	Other       = "other"
	NotSpam     = "not-spam"     // RFC 6430
	AuthFailure = "auth-failure" // RFC 6591
)

// Report is the content of a message/feedback-report part. An empty field was
// not stated, or could not be read.
type Report struct {
	Type         string // in small letters: abuse, fraud, ...
	UserAgent    string
	MailFrom     smtp.Address   // Original-Mail-From
	EnvelopeID   string         // Original-Envelope-Id
	Recipients   []smtp.Address // Original-Rcpt-To, Original-Recipient
	Removal      []smtp.Address // Removal-Recipient, of old reports
	Arrival      time.Time      // Arrival-Date, Received-Date
	ReportingMTA string
	SourceIP     netip.Addr
	Domains      []string // Reported-Domain
	Incidents    int      // 1 if not stated
}

// Parse reads a report. Only Feedback-Type must be there (RFC 5965 section 3.1):
// its lack is an error that wraps ErrSyntax. Fields that cannot be read are as
// if absent.
func Parse(text []byte) (*Report, error) {
	r := &Report{Incidents: 1}
	// Some leave an empty line before or among the fields.
	for f := range header.Section(text[:min(len(text), MaxReport)]).Fields() {
		r.field(f)
	}
	if r.Type == "" {
		return nil, fmt.Errorf("%w: it has no Feedback-Type", ErrSyntax)
	}
	return r, nil
}

func (r *Report) field(f header.Field) {
	v := f.Text()
	switch strings.ToLower(string(f.Name())) {
	case "feedback-type":
		kind, _, _ := strings.Cut(v, ";")
		r.Type = strings.ToLower(strings.TrimSpace(kind))
	case "user-agent":
		r.UserAgent = v
	case "original-mail-from":
		r.MailFrom, _ = address(v)
	case "original-envelope-id":
		r.EnvelopeID = v
	case "original-rcpt-to", "original-recipient":
		add(&r.Recipients, v)
	case "removal-recipient":
		add(&r.Removal, v)
	case "arrival-date", "received-date":
		if at, err := mail.ParseDate(v); err == nil {
			r.Arrival = at
		}
	case "reporting-mta":
		r.ReportingMTA = afterKind(v)
	case "source-ip":
		r.SourceIP, _ = netip.ParseAddr(strings.Trim(v, "[] "))
	case "reported-domain":
		if len(r.Domains) < MaxRecipients {
			r.Domains = append(r.Domains, v)
		}
	case "incidents":
		if n, err := strconv.Atoi(v); err == nil && n > 0 {
			r.Incidents = n
		}
	}
}

// add takes the addresses of a field, which may be several.
func add(to *[]smtp.Address, v string) {
	for one := range strings.SplitSeq(v, ",") {
		if a, ok := address(one); ok && len(*to) < MaxRecipients {
			*to = append(*to, a)
		}
	}
}

// address reads "<a@b.test>", "a@b.test" and "rfc822; a@b.test".
func address(v string) (smtp.Address, bool) {
	v = strings.TrimSpace(strings.Trim(afterKind(v), "<> "))
	a, err := smtp.ParseMailbox(v)
	return a, err == nil
}

func afterKind(v string) string {
	if kind, rest, ok := strings.Cut(v, ";"); ok && !strings.ContainsAny(kind, "@<\"") {
		v = rest
	}
	return strings.TrimSpace(v)
}
