package classify

import (
	"slices"
	"strings"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// Reply is what there is to judge: a reply, or what a report tells of one.
type Reply struct {
	Code    int         // 0: none stated
	Status  smtp.Status // zero: none stated
	Text    string
	Command string // that was answered, in mail.Outcome's words; "": nobody knows
	Ours    bool   // it was we who said it, no remote
	// Final: it comes from a report that the mail was given up. What was temporary
	// then has been said again and again.
	Final bool
	// Notes are what a report says besides, in its own words: looked at if Text
	// is no reply, and no rule knows it.
	Notes string
}

// Of gives the reply of an outcome.
func Of(o *mail.Outcome) Reply {
	return Reply{Code: o.Reply.Code, Status: o.Reply.Status, Text: o.Reply.Text, Command: o.Command, Ours: o.Host == ""}
}

// Classifier judges replies by rules. It may be used from any goroutine.
type Classifier struct {
	worded []rule // those with text
	vague  []rule // those with text that count only if no other does
	plain  []rule
	memo   memo

	phrases int // that the rules have, all together
}

// Outcome is Classify for the outcome of an attempt. What was sent, and what was
// not tried, has no diagnosis.
func (c *Classifier) Outcome(o *mail.Outcome) mail.Diagnosis {
	if o.Untried || o.Reply.Positive() {
		return mail.Diagnosis{}
	}
	return c.Classify(Of(o))
}

// Classify gives the diagnosis. The rules with text are tried on Text, first
// without URLs and names of hosts, then on Notes (if Text is no reply), then the
// rules without.
func (c *Classifier) Classify(r Reply) mail.Diagnosis {
	text := plainText(r.Text)
	k := memoKey{code: r.Code, status: r.Status, command: r.Command, ours: r.Ours, text: text}
	d, ok := mail.Diagnosis{}, false
	short := len(text) <= maxMemoText && len(r.Command) <= maxMemoText && r.Notes == "" && !r.Final
	if short {
		d, ok = c.memo.get(k)
	}
	if !ok {
		d = c.decide(&r, text)
		if d.Severity == mail.Hard {
			d.Severity = bounded(&r)
		}
		if short {
			c.memo.put(k, d)
		}
	}
	if !permanent(&r) {
		d.Wait = Wait(r.Text)
	}
	return d
}

func (c *Classifier) decide(r *Reply, text string) mail.Diagnosis {
	notes := ""
	if (text == "" || r.Code == 0) && !definite(r.Status) {
		notes = plainText(r.Notes)
	}
	tries := []string{text, notes}
	if said := withoutNames(text); said != text { // "relay" of relay.b.test is no word
		tries = []string{said, text, notes}
	}
	for _, rules := range [][]rule{c.worded, c.vague} {
		for _, t := range tries {
			h := headsOf(t)
			for i := range rules {
				if w := &rules[i]; t != "" && w.fits(r) && w.says(t, h) {
					return w.diagnosis
				}
			}
		}
	}
	for i := range c.plain {
		if p := &c.plain[i]; p.fits(r) && !(p.wordless && hasWords(text)) {
			return p.diagnosis
		}
	}
	return mail.Diagnosis{}
}

// definite reports a status that leaves no doubt, of the address or the mailbox
// or the next hop (RFC 3463 sections 3.2, 3.3 and 3.5). Beside it, the text
// around, which is much the same for every failure, does not count.
func definite(s smtp.Status) bool {
	return s[2] != 0 && (s[1] == 1 || s[1] == 2 || s[1] == 4 && (s[2] == 3 || s[2] == 4 || s[2] == 6))
}

// bounded is how severe a reply can be that a rule calls hard.
func bounded(r *Reply) mail.Severity {
	switch {
	case temporary(r) && !(r.Final && r.Status[1] == 1): // RFC 3463 section 3.2: the address itself
		return mail.Soft
	case r.Code == 521 || r.Code == 556: // RFC 7504: about the host, whatever was asked
		return mail.Hard
	case slices.Contains([]string{"CONNECT", "EHLO", "STARTTLS", "AUTH", "MAIL"}, r.Command):
		return mail.Block // no recipient had been named yet
	case slices.Contains([]string{"DATA", "BDAT", "."}, r.Command) && r.Status[1] != 1:
		return mail.Soft // the recipient had been taken
	}
	return mail.Hard
}

// temporary: the remote itself says that it will be otherwise another time.
func temporary(r *Reply) bool {
	if r.Status[0] != 0 {
		return r.Status[0] == 4
	}
	return r.Code/100 == 4
}

func permanent(r *Reply) bool { return r.Code/100 == 5 || r.Code == 0 && r.Status[0] == 5 }

// rule is a rule of the file, compiled.
type rule struct {
	diagnosis mail.Diagnosis
	text, not []phrase
	status    []statusPattern
	code      []codePattern
	command   []string
	from      from
	wordless  bool
}

type from uint8

const (
	anybody from = iota
	remote
	ours
)

// fits reports that all conditions but those on the text hold.
func (u *rule) fits(r *Reply) bool {
	switch {
	case u.from == remote && r.Ours, u.from == ours && !r.Ours:
		return false
	case u.command != nil && !slices.Contains(u.command, r.Command):
		return false
	case u.status != nil && !slices.ContainsFunc(u.status, func(p statusPattern) bool { return p.fits(r.Status) }):
		return false
	case u.code != nil && !slices.ContainsFunc(u.code, func(p codePattern) bool { return p.fits(r.Code) }):
		return false
	}
	return true
}

// hasWords reports a plain text that has more than addresses and numbers.
func hasWords(t string) bool {
	return strings.ContainsFunc(t, func(c rune) bool { return c >= 'a' && c <= 'z' || c >= 0x80 })
}

func (u *rule) says(t string, h *heads) bool { return anyIn(u.text, t, h) && !anyIn(u.not, t, h) }

func anyIn(list []phrase, t string, h *heads) bool {
	for i := range list {
		if list[i].in(t, h) {
			return true
		}
	}
	return false
}
