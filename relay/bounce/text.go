package bounce

import (
	"bytes"
	"mime"
	"strings"
	"time"

	"tenma/relay/mail"
	"tenma/relay/wire/dsn"
)

// humanDate is how the text writes a time.
const humanDate = "Monday, 2 January 2006, 15:04 UTC"

// text writes the part for people: what happened, to whom, what the other side
// said, what to do.
func (n *notice) text(back *returned) []byte {
	w := &writer{}
	w.paragraph("", "This is an automatic message from the mail system at "+n.cfg.Hostname+".")
	for _, g := range n.groups() {
		w.paragraph("", n.lead(g))
		for _, to := range g.to {
			w.line("    " + to)
		}
		w.blank()
		if g.why != "" {
			w.paragraph("    ", g.why)
		}
		if g.said != "" {
			w.line("    " + g.speaker)
			w.paragraph("        ", g.said)
		}
		if g.todo != "" {
			w.paragraph("    ", g.todo)
		}
	}
	w.paragraph("", "This is about your message:")
	if s := readable(n.env.Subject); s != "" {
		w.line("    Subject:   " + s)
	}
	w.line("    Accepted:  " + n.env.Received.UTC().Format(humanDate))
	w.line("    Reference: " + n.original.String())
	w.blank()
	if !n.quiet.IsZero() {
		w.paragraph("", "You have had many notices like this within an hour. Until "+n.quiet.Format(humanDate)+" you get no more of them, whatever becomes of your messages.")
	}
	w.paragraph("", n.closing(back))
	return bytes.TrimSuffix(w.b, []byte("\r\n"))
}

// group is recipients to whom the same happened, so that a list of a thousand
// names has its reason once.
type group struct {
	action  mail.Action
	until   time.Time
	words          // reason and advice
	speaker string // who said it
	said    string
	to      []string
}

func (n *notice) groups() []*group {
	type key struct {
		action     mail.Action
		until      time.Time
		words      words
		host, said string
	}
	var all []*group
	byKey := map[key]*group{}
	for i := range n.reports {
		r := &n.reports[i]
		k := key{action: r.Action, words: explain(r), host: r.Outcome.Host}
		if topicOf(r.Action) != success {
			k.said = quote(r.Outcome.Reply)
			k.until = r.WillRetry
		}
		g := byKey[k]
		if g == nil {
			g = &group{action: r.Action, until: k.until, words: k.words, speaker: speaker(r), said: k.said}
			byKey[k] = g
			all = append(all, g)
		}
		g.to = append(g.to, string(dsn.AppendClean(nil, n.env.Recipients[r.Recipient].Address.String(), dsn.MaxText, true)))
	}
	return all
}

// speaker introduces a reply.
func speaker(r *mail.Report) string {
	if r.Outcome.Host == "" {
		return "Our mail system noted:"
	}
	s := "The mail server " + string(dsn.AppendClean(nil, r.Outcome.Host, 255, false))
	if a := r.Outcome.Peer.Addr(); a.IsValid() {
		s += " [" + a.WithZone("").String() + "]"
	}
	if expired(r) || r.Action == mail.ActionDelayed {
		return s + " said last:"
	}
	return s + " said:"
}

// lead is the sentence over a list of recipients.
func (n *notice) lead(g *group) string {
	whom := "this recipient"
	if len(g.to) > 1 {
		whom = "these recipients"
	}
	switch g.action {
	case mail.ActionFailed:
		return "Your message could not be delivered to " + whom + ", and it will not be tried again:"
	case mail.ActionDelayed:
		return "Your message has not reached " + whom + " yet:"
	case mail.ActionRelayed:
		return "Your message was handed to the next mail server on its way to " + whom + ". That server does not confirm delivery, so this is the last that you hear from us:"
	case mail.ActionExpanded:
		return "Your message was passed on to those who get the mail for " + whom + ":"
	}
	return "Your message was delivered to " + whom + ":"
}

// closing says what is attached and who can help.
func (n *notice) closing(back *returned) string {
	s := "A report for mail programs is attached."
	switch {
	case back != nil && back.full:
		s = "A report for mail programs and your message are attached."
	case back != nil:
		s = "A report for mail programs and the header of your message are attached."
	}
	if n.topic == success {
		return s
	}
	if n.cfg.Postmaster.IsNull() {
		return s + " If you need help, show this whole message to whoever looks after your e-mail."
	}
	return s + " If you need help, forward this whole message to " + n.cfg.Postmaster.String() + "."
}

// readable gives a header field's text as people read it: encoded words (RFC
// 2047) decoded, on one line.
func readable(s string) string {
	if d, err := new(mime.WordDecoder).DecodeHeader(s); err == nil {
		s = d
	}
	return strings.TrimSpace(string(dsn.AppendClean(nil, s, 256, true)))
}

// writer writes lines of text for people.
type writer struct{ b []byte }

func (w *writer) line(s string) { w.b = append(append(w.b, s...), "\r\n"...) }
func (w *writer) blank()        { w.b = append(w.b, "\r\n"...) }

// width of a line of text, the 78 of RFC 5322 section 2.1.1 less some for
// being quoted.
const width = 72

// paragraph writes s in lines of width, each behind indent, and a blank line.
// Only words that are longer by themselves reach beyond.
func (w *writer) paragraph(indent, s string) {
	used := 0
	for word := range strings.FieldsSeq(s) {
		switch {
		case used == 0:
			w.b = append(w.b, indent...)
			used = len(indent)
		case used+1+len(word) > width:
			w.b = append(append(w.b, "\r\n"...), indent...)
			used = len(indent)
		default:
			w.b = append(w.b, ' ')
			used++
		}
		w.b = append(w.b, word...)
		used += len(word)
	}
	if used > 0 {
		w.blank()
	}
	w.blank()
}
