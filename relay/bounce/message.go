package bounce

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"tenma/relay/mail"
	"tenma/relay/wire/dsn"
	"tenma/relay/wire/smtp"
)

// message writes the DSN, CRLF at each line's end. back may be nil: the third
// part is optional (RFC 6522 section 3).
func (n *notice) message(back *returned) []byte {
	var parts []byte
	boundary := n.boundary(0)
	for try := 1; ; try++ {
		parts = n.parts(back, boundary)
		// A returned text could hold the boundary only by design, and whoever
		// designed it could not know the id. Still, look.
		if bytes.Count(parts, []byte(boundary)) == countParts(back)+1 {
			break
		}
		boundary = n.boundary(try)
	}
	h := header{b: make([]byte, 0, len(parts)+2048), utf8: n.global()}
	h.field("Date", n.now.Format(dsn.Date))
	h.field("From", n.from())
	h.field("To", "<"+n.env.Sender.String()+">")
	h.field("Subject", n.subject())
	h.field("Message-ID", n.messageID())
	if ref := messageRef(n.env.MsgID); ref != "" {
		h.field("In-Reply-To", ref)
		h.field("References", ref)
	}
	h.field("Auto-Submitted", "auto-replied") // RFC 3834 section 5: nobody answers it by machine
	h.field("MIME-Version", "1.0")
	kind := "delivery-status"
	if n.global() {
		kind = "global-delivery-status" // the subtype of the second part (RFC 6522 section 3)
	}
	h.b = append(h.b, "Content-Type: multipart/report; report-type="+kind+";\r\n\tboundary=\""+boundary+"\"\r\n"...)
	if !isASCII(parts) {
		h.field("Content-Transfer-Encoding", "8bit") // RFC 2045 section 6.4: as the parts
	}
	h.b = append(h.b, "\r\n"...)
	return append(h.b, parts...)
}

func countParts(back *returned) int {
	if back == nil {
		return 2
	}
	return 3
}

// parts writes the parts with their boundaries.
func (n *notice) parts(back *returned, boundary string) []byte {
	var b []byte
	part := func(mediaType, encoding, description string, content []byte) {
		b = append(b, "--"+boundary+"\r\nContent-Type: "+mediaType+"\r\n"...)
		if encoding != "7bit" { // the default
			b = append(b, "Content-Transfer-Encoding: "+encoding+"\r\n"...)
		}
		b = append(b, "Content-Description: "+description+"\r\n\r\n"...)
		b = append(append(b, content...), "\r\n"...)
	}
	text := n.text(back)
	if isASCII(text) {
		part("text/plain; charset=us-ascii", "7bit", "Notification", text)
	} else {
		part("text/plain; charset=utf-8", "quoted-printable", "Notification", quoted(text))
	}
	status := n.status().Append(nil, n.global())
	switch {
	case !n.global():
		part("message/delivery-status", "7bit", "Delivery report", status)
	case isASCII(status):
		part("message/global-delivery-status", "7bit", "Delivery report", status)
	default:
		part("message/global-delivery-status", "8bit", "Delivery report", status)
	}
	if back != nil {
		what := "Header of the message"
		if back.full {
			what = "The message"
		}
		mediaType, encoding, content := back.part(n.global())
		part(mediaType, encoding, what, content)
	}
	return append(b, "--"+boundary+"--\r\n"...)
}

// boundary derives a boundary from the id, so that a repeated settlement makes
// the same message.
func (n *notice) boundary(try int) string {
	sum := sha256.Sum256(append(n.id[:], byte(try)))
	return "=_" + hex.EncodeToString(sum[:12]) // "=_" is in no quoted-printable text (RFC 2045 section 6.7)
}

func (n *notice) from() string { return "Mail Delivery System <" + n.cfg.From.String() + ">" }

func (n *notice) messageID() string { return "<" + n.id.String() + "@" + n.cfg.Hostname + ">" }

func (n *notice) subject() string {
	switch n.topic {
	case failure:
		return "Your message could not be delivered"
	case delay:
		return "Your message is delayed"
	}
	return "Your message was delivered"
}

// messageRef gives a Message-ID that can be referred to, or "". The envelope's
// copy is cut at 256 octets, and may be anything.
func messageRef(id string) string {
	id = strings.TrimSpace(id)
	if len(id) < 3 || id[0] != '<' || strings.IndexByte(id, '>') != len(id)-1 || strings.IndexByte(id[1:], '<') >= 0 {
		return ""
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] >= 0x7f {
			return ""
		}
	}
	return id
}

// status gives the facts for programs (RFC 3464).
func (n *notice) status() *dsn.Report {
	r := &dsn.Report{
		EnvelopeID:   n.env.EnvID,
		ReportingMTA: dsn.Typed{Kind: "dns", Text: n.cfg.Hostname},
		ArrivalDate:  n.env.Received.UTC(),
	}
	for i := range n.reports {
		r.Recipients = append(r.Recipients, n.statusOf(&n.reports[i]))
	}
	return r
}

func (n *notice) statusOf(r *mail.Report) dsn.Recipient {
	rcpt, o := &n.env.Recipients[r.Recipient], &r.Outcome
	t := dsn.Recipient{
		Final:      dsn.Mailbox(rcpt.Address),
		Action:     actions[r.Action],
		Status:     statusCode(r),
		FinalLogID: n.original.String(),
	}
	if rcpt.ORcpt != "" { // RFC 3464 section 2.3.1: only what ORCPT said
		t.Original = dsn.ParseTyped(rcpt.ORcpt, "rfc822")
	}
	if o.Host != "" {
		t.RemoteMTA = dsn.Typed{Kind: "dns", Text: o.Host}
		t.Diagnostic = dsn.Typed{Kind: "smtp", Text: quote(o.Reply)}
	} else if r.Action == mail.ActionFailed || r.Action == mail.ActionDelayed {
		t.Diagnostic = dsn.Typed{Kind: "X-Tenma", Text: quote(o.Reply)}
	}
	if r.Attempts > 0 && o.Command != "" {
		t.LastAttempt = n.now
	}
	if r.Action == mail.ActionDelayed && !r.WillRetry.IsZero() {
		t.WillRetry = r.WillRetry.UTC()
	}
	return t
}

var actions = [...]dsn.Action{
	mail.ActionFailed: dsn.Failed, mail.ActionDelayed: dsn.Delayed,
	mail.ActionDelivered: dsn.Delivered, mail.ActionRelayed: dsn.Relayed, mail.ActionExpanded: dsn.Expanded,
}

// expired reports a failure that nobody decided: time ran out.
func expired(r *mail.Report) bool {
	return r.Action == mail.ActionFailed && !r.Outcome.Reply.Permanent()
}

// statusCode gives the enhanced status for a recipient. Its class always
// agrees with the action, whatever the remote's code was; a message that was
// given up has 4.4.7 (RFC 3463 section 3.5).
func statusCode(r *mail.Report) smtp.Status {
	s := r.Outcome.Reply.Status
	switch {
	case expired(r):
		return smtp.Status{4, 4, 7}
	case r.Action == mail.ActionFailed:
		s[0] = 5
	case r.Action == mail.ActionDelayed:
		s[0] = 4
	default:
		s[0] = 2
	}
	return s
}

// maxQuote is the most octets of a reply that a DSN repeats, RFC 5321 section
// 4.5.3.1.5's for one line.
const maxQuote = 512

// quote gives a reply on one line, without what could do harm in a message.
func quote(r smtp.Reply) string {
	text := r.String()
	if len(text) > 4*maxQuote {
		text = text[:4*maxQuote]
	}
	clean := string(dsn.AppendClean(nil, text, maxQuote, true))
	return strings.Join(strings.Fields(clean), " ")
}

// header writes header fields.
type header struct {
	b    []byte
	utf8 bool
}

func (h *header) field(name, v string) {
	h.b = append(append(h.b, name...), ": "...)
	h.b = append(dsn.AppendClean(h.b, v, dsn.MaxText, h.utf8), "\r\n"...)
}
