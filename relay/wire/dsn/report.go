package dsn

import (
	"strings"
	"time"
	"unicode/utf8"

	"tenma/relay/wire/smtp"
)

// Report is the content of a message/delivery-status part (RFC 3464 section
// 2). An empty field was not stated, or is not written.
type Report struct {
	EnvelopeID   string    // Original-Envelope-Id, section 2.2.1
	ReportingMTA Typed     // section 2.2.2; a report must have it
	ReceivedFrom Typed     // Received-From-MTA, section 2.2.4
	ArrivalDate  time.Time // section 2.2.5
	Recipients   []Recipient
}

// Recipient is one group of per-recipient fields (RFC 3464 section 2.3).
type Recipient struct {
	Original    Typed     // Original-Recipient, section 2.3.1
	Final       Typed     // Final-Recipient, section 2.3.2
	Action      Action    // section 2.3.3
	Status      Status    // section 2.3.4
	StatusText  string    // the comment behind it; read, not written
	RemoteMTA   Typed     // section 2.3.5
	Diagnostic  Typed     // Diagnostic-Code, section 2.3.6
	LastAttempt time.Time // section 2.3.7
	FinalLogID  string    // section 2.3.8
	WillRetry   time.Time // Will-Retry-Until, section 2.3.9
}

// Status is an enhanced status code.
type Status = smtp.Status

// Typed is a value with its kind before a semicolon: "dns; mx.test",
// "rfc822; a@b.test", "smtp; 550 no". Kind is in lower case when parsed.
type Typed struct{ Kind, Text string }

// Action is the value of an Action field, in lower case.
type Action string

// Actions of RFC 3464 section 2.3.3.
const (
	Failed    Action = "failed"
	Delayed   Action = "delayed"
	Delivered Action = "delivered"
	Relayed   Action = "relayed"
	Expanded  Action = "expanded"
)

// MaxText is the most octets that Append writes of one field's text. With the
// longest name before it a line stays under the 998 of RFC 5322 section 2.1.1.
const MaxText = 900

// Date is the form of the dates in a report and in header fields (RFC 5322
// section 3.3).
const Date = "Mon, 2 Jan 2006 15:04:05 -0700"

// Append appends the report, CRLF at each line's end. Text is cleaned on the
// way: a control becomes a space and length is cut to MaxText, so no text can
// start a field or a line of its own. With utf8 the report is a
// message/global-delivery-status part (RFC 6533 section 6) and keeps valid
// UTF-8; without, it is ASCII, with addresses of type utf-8 escaped and any
// other octet replaced by "?".
func (r *Report) Append(b []byte, utf8 bool) []byte {
	w := fieldWriter{b: b, utf8: utf8}
	w.text("Original-Envelope-Id", r.EnvelopeID)
	w.typed("Reporting-MTA", r.ReportingMTA)
	w.typed("Received-From-MTA", r.ReceivedFrom)
	w.date("Arrival-Date", r.ArrivalDate)
	for i := range r.Recipients {
		t := &r.Recipients[i]
		w.b = append(w.b, "\r\n"...)
		w.typed("Original-Recipient", t.Original)
		w.typed("Final-Recipient", t.Final)
		w.text("Action", string(t.Action))
		w.text("Status", t.Status.String())
		w.typed("Remote-MTA", t.RemoteMTA)
		w.typed("Diagnostic-Code", t.Diagnostic)
		w.date("Last-Attempt-Date", t.LastAttempt)
		w.text("Final-Log-ID", t.FinalLogID)
		w.date("Will-Retry-Until", t.WillRetry)
	}
	return w.b
}

// Mailbox gives an address as a report names it: of type rfc822, or utf-8
// where it is not ASCII (RFC 6533 section 3).
func Mailbox(a smtp.Address) Typed {
	if a.NeedsUTF8() {
		return Typed{"utf-8", a.String()}
	}
	return Typed{"rfc822", a.String()}
}

// ParseTyped splits "kind; text". Without a semicolon all is text and kind is
// fallback.
func ParseTyped(s, fallback string) Typed {
	kind, text, ok := strings.Cut(s, ";")
	if kind = strings.TrimSpace(kind); !ok || !isAtom(kind) {
		return Typed{fallback, strings.TrimSpace(s)}
	}
	return Typed{strings.ToLower(kind), strings.TrimSpace(text)}
}

// AppendClean appends at most limit octets of s as one line that is safe in a
// header field: controls, DEL and line ends become a space each, and so do the
// C1 controls, line separators and direction controls of Unicode. With keep, other valid UTF-8
// stays; without it, and where it is invalid, a character becomes "?".
func AppendClean(b []byte, s string, limit int, keep bool) []byte {
	end := len(b) + limit
	for _, r := range s {
		n := 1
		switch {
		case isControl(r):
			r = ' '
		case r == utf8.RuneError || r >= utf8.RuneSelf && !keep:
			r = '?'
		default:
			n = utf8.RuneLen(r)
		}
		if len(b)+n > end {
			break
		}
		b = utf8.AppendRune(b, r)
	}
	return b
}

// isControl reports characters that change how a line is shown or where it
// ends, and are never part of a word.
func isControl(r rune) bool {
	return r < ' ' || r >= 0x7f && r < 0xa0 ||
		r >= '\u2028' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' || // lines, paragraphs, directions
		r == '\u200e' || r == '\u200f' || r == '\ufeff'
}

type fieldWriter struct {
	b    []byte
	utf8 bool
}

func (w *fieldWriter) text(name, v string) {
	if v != "" {
		w.b = append(append(w.b, name...), ": "...)
		w.b = AppendClean(w.b, v, MaxText, w.utf8)
		w.b = append(w.b, "\r\n"...)
	}
}

func (w *fieldWriter) typed(name string, v Typed) {
	if v.Text == "" || !isAtom(v.Kind) {
		return
	}
	w.b = append(append(w.b, name...), ": "...)
	w.b = append(append(w.b, v.Kind...), "; "...)
	if strings.EqualFold(v.Kind, "utf-8") && !w.utf8 {
		at := len(w.b)
		w.b = appendUTF8Xtext(w.b, v.Text)
		w.b = w.b[:min(len(w.b), at+MaxText)]
	} else {
		w.b = AppendClean(w.b, v.Text, MaxText, w.utf8)
	}
	w.b = append(w.b, "\r\n"...)
}

func (w *fieldWriter) date(name string, t time.Time) {
	if !t.IsZero() {
		w.text(name, t.Format(Date))
	}
}
