package dsn

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"strings"
	"time"

	"tenma/relay/wire/smtp"
)

// Bounds of what Parse reads. A report of a thousand recipients, the most that
// RFC 5321 section 4.5.3.1.8 lets a client count on tenfold, is some 300 KiB.
const (
	MaxReport     = 1 << 20 // octets
	MaxRecipients = 10_000
	maxField      = 4096 // octets kept of one field, folding removed
)

// ErrTooLarge is returned by Parse for a report beyond its bounds.
var ErrTooLarge = errors.New("dsn: report too large")

// Parse reads the content of a message/delivery-status part, or of its global
// form, from r.
//
// It takes what mail systems write rather than what RFC 3464 allows: bare LF,
// several blank lines between groups, recipient fields that follow the message
// fields without a blank line, fields in any order and number (the first of a
// name counts), unknown fields, dates in odd forms (left zero), a MIME part
// that was cut off (io.ErrUnexpectedEOF). Lines that are no field are read
// over. An error is ErrTooLarge, wraps ErrSyntax if nothing
// in the input is a field of a report, or is r's own.
func Parse(r io.Reader) (*Report, error) {
	limited := &io.LimitedReader{R: r, N: MaxReport + 1}
	p := parser{report: &Report{}}
	in := bufio.NewReader(limited)
	for {
		line, err := in.ReadString('\n')
		end := err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !end {
			return nil, fmt.Errorf("dsn: %w", err)
		}
		if !p.line(strings.TrimRight(line, "\r\n")) || limited.N == 0 {
			return nil, ErrTooLarge
		}
		if end {
			break
		}
	}
	if p.field(); p.known == 0 {
		return nil, fmt.Errorf("%w: no delivery status", ErrSyntax)
	}
	return p.report, nil
}

// parser gathers one field at a time. seen has the names of the present group,
// so that a second Final-Recipient starts a new recipient even where the blank
// line between them is missing.
type parser struct {
	report      *Report
	name        string
	value       []byte
	inRecipient bool
	seen        map[string]bool
	known       int // fields that belong to a report
}

// line takes one line; false means too many recipients.
func (p *parser) line(s string) bool {
	if s != "" && (s[0] == ' ' || s[0] == '\t') && strings.TrimSpace(s) != "" { // folded, RFC 5322 section 2.2.3
		if p.name != "" && len(p.value)+len(s) < maxField {
			p.value = append(append(p.value, ' '), strings.TrimSpace(s)...)
		}
		return true
	}
	p.field()
	if strings.TrimSpace(s) == "" {
		p.inRecipient = false
		p.seen = nil
		return len(p.report.Recipients) <= MaxRecipients
	}
	if name, value, ok := strings.Cut(s, ":"); ok {
		p.name = strings.ToLower(strings.TrimSpace(name))
		value = strings.TrimSpace(value)
		p.value = append(p.value[:0], value[:min(len(value), maxField)]...)
	}
	return len(p.report.Recipients) <= MaxRecipients
}

// field files the gathered field.
func (p *parser) field() {
	name, value := p.name, string(p.value)
	p.name, p.value = "", p.value[:0]
	switch {
	case name == "":
	case p.messageField(name, value):
		p.known++
	case isRecipientField(name):
		p.known++
		p.recipientField(name, value)
	}
}

func (p *parser) messageField(name, value string) bool {
	r := p.report
	switch name {
	case "original-envelope-id":
		first(&r.EnvelopeID, value)
	case "reporting-mta":
		first(&r.ReportingMTA, ParseTyped(value, "dns"))
	case "received-from-mta":
		first(&r.ReceivedFrom, ParseTyped(value, "dns"))
	case "arrival-date":
		first(&r.ArrivalDate, parseDate(value))
	default:
		return false
	}
	return true
}

func isRecipientField(name string) bool {
	switch name {
	case "original-recipient", "final-recipient", "action", "status", "remote-mta", "diagnostic-code",
		"last-attempt-date", "final-log-id", "will-retry-until":
		return true
	}
	return false
}

func (p *parser) recipientField(name, value string) {
	if !p.inRecipient || name == "final-recipient" && p.seen[name] {
		p.report.Recipients = append(p.report.Recipients, Recipient{})
		p.inRecipient, p.seen = true, map[string]bool{}
	}
	p.seen[name] = true
	t := &p.report.Recipients[len(p.report.Recipients)-1]
	switch name {
	case "original-recipient":
		first(&t.Original, parseMailbox(value))
	case "final-recipient":
		first(&t.Final, parseMailbox(value))
	case "action":
		word, _, _ := strings.Cut(strings.ToLower(value), " ") // "failed (relaying denied)"
		first(&t.Action, Action(word))
	case "status":
		first(&t.Status, parseStatus(value))
		if _, text, ok := strings.Cut(value, "("); ok {
			first(&t.StatusText, strings.TrimSuffix(text, ")"))
		}
	case "remote-mta":
		first(&t.RemoteMTA, ParseTyped(value, "dns"))
	case "diagnostic-code":
		first(&t.Diagnostic, ParseTyped(value, "smtp"))
	case "last-attempt-date":
		first(&t.LastAttempt, parseDate(value))
	case "final-log-id":
		first(&t.FinalLogID, value)
	case "will-retry-until":
		first(&t.WillRetry, parseDate(value))
	}
}

// first sets a field that was not set yet.
func first[T comparable](field *T, v T) {
	var zero T
	if *field == zero {
		*field = v
	}
}

// parseMailbox reads "rfc822; <a@b.test>". Angle brackets are none of the
// RFC's, but some write them. A utf-8 address that does not decode stays as it
// was.
func parseMailbox(s string) Typed {
	t := ParseTyped(s, "rfc822")
	if strings.HasPrefix(t.Text, "<") && strings.HasSuffix(t.Text, ">") {
		t.Text = t.Text[1 : len(t.Text)-1]
	}
	if t.Kind == "utf-8" {
		if a, err := parseUTF8Xtext(t.Text); err == nil {
			t.Text = a
		}
	}
	return t
}

// parseStatus reads "5.1.1 (text)".
func parseStatus(s string) Status {
	if end := strings.IndexAny(s, " \t(;"); end >= 0 {
		s = s[:end]
	}
	st, _, _ := smtp.ParseStatus(s)
	return st
}

// parseDate reads a date, or gives the zero time.
func parseDate(s string) time.Time {
	t, err := mail.ParseDate(s)
	if err != nil {
		return time.Time{}
	}
	return t
}
