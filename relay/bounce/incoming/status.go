package incoming

import (
	"bytes"
	"strings"

	"tenma/relay/wire/dsn"
	"tenma/relay/wire/smtp"
)

// statusReport reads the fields of a delivery status (RFC 3464).
func statusReport(p *pieces, m *Message) bool {
	if p.status == nil {
		return false
	}
	report, err := dsn.Parse(bytes.NewReader(p.status))
	if err != nil {
		return false
	}
	m.ReportingMTA, m.EnvelopeID = report.ReportingMTA.Text, envelopeID(report.EnvelopeID)
	for i := range report.Recipients {
		g := &report.Recipients[i]
		if g.Final.Text == "" && g.Original.Text == "" || len(m.Recipients) == MaxRecipients {
			continue // what is left of a group that was torn
		}
		m.Recipients = append(m.Recipients, ofGroup(g))
	}
	if len(m.Recipients) == 0 {
		return false
	}
	m.Kind = Report
	blocks := blocksOf(p)
	for i := range m.Recipients {
		about(&m.Recipients[i], blocks, p.text, len(m.Recipients) == 1)
	}
	return true
}

// ofGroup reads the fields of one recipient.
func ofGroup(g *dsn.Recipient) Recipient {
	t := Recipient{Address: plainAddress(g.Final.Text), Action: g.Action, Status: g.Status, Host: g.RemoteMTA.Text, Notes: g.StatusText}
	if orig := plainAddress(g.Original.Text); t.Address == "" {
		t.Address = orig
	} else if !strings.EqualFold(orig, t.Address) {
		t.Original = orig
	}
	if t.Action == "" {
		t.Action = dsn.Failed
	}
	t.Text = g.Diagnostic.Text
	if g.Diagnostic.Kind == "x-unix" { // of a program that the reporter ran
		t.Local, t.Command = true, "LOCAL"
		t.Notes += " x-unix"
	}
	return t
}

// about adds what the text for people says of a recipient of a delivery status.
func about(t *Recipient, blocks []block, text string, only bool) {
	said := ""
	for _, b := range blocks {
		if sameAddress(b.address, t.Address) || sameAddress(b.address, t.Original) {
			said = b.text
			break
		}
	}
	if only && said != text {
		said += "\n" + text
	}
	own := findReply(t.Text)
	t.Code, t.Command = own.code, first(commandIn(t.Text), commandIn(said), t.Command)
	if own.status[0] > 2 { // what the remote said
		t.Status = own.status
	}
	if own.code == 0 && !hasWords(t.Text) { // no Diagnostic-Code, or one like "77"
		t.Notes = strings.TrimSpace(t.Notes + " " + t.Text)
		r := findReply(said)
		t.Text, t.Code = "", r.code
		if r.code != 0 {
			t.Text = r.text
		}
		if r.status[0] > 2 && (t.Status == (smtp.Status{}) || t.Status[1] == 0) {
			t.Status = r.status
		}
	}
	t.Notes = strings.TrimSpace(t.Notes + " " + said)
}

// envelopeID undoes xtext (RFC 3461 section 4), where it is that.
func envelopeID(s string) string {
	if plain, err := dsn.ParseXtext(s); err == nil && plain != "" {
		return plain
	}
	return s
}

// plainAddress takes the address out of the value of a recipient field: some add
// brackets, comments, or the program that should have taken the mail.
func plainAddress(s string) string {
	s = strings.TrimSpace(s)
	if a, err := smtp.ParseMailbox(strings.Trim(s, "<>")); err == nil {
		return a.String()
	}
	if a := address.FindString(s); a != "" {
		return a
	}
	return s
}

func sameAddress(a, b string) bool { return a != "" && strings.EqualFold(a, b) }

func hasWords(s string) bool {
	letters := 0
	for i := 0; i < len(s); i++ {
		if c := s[i] | 0x20; c >= 'a' && c <= 'z' || s[i] >= 0x80 {
			letters++
		}
	}
	return letters >= 4
}

func first(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}
