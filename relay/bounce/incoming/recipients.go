package incoming

import (
	"regexp"
	"slices"
	"strings"

	"tenma/relay/wire/dsn"
	"tenma/relay/wire/header"
	"tenma/relay/wire/mime"
)

const (
	local  = `(?:"[^"\n]+"|[A-Za-z0-9!#$%&'*+/=?^_{|}~.-]+)`
	domain = `[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9])?`
)

var (
	address = regexp.MustCompile(local + `@` + domain)
	// An address that leads a line, behind bullets or a reply code at most.
	leads = regexp.MustCompile(`^[ \t*>•-]*(?:[245]\d\d[ -](?:[245]\.\d{1,3}\.\d{1,3} )?)?<?(` + local + `@` + domain + `)>?`)
	// One behind words that announce a recipient.
	labelled = regexp.MustCompile(`(?i)(?:recipients?|rcpt to|mailing list|addressed to|address|undeliverable to|delivered to|deliver(?:y|ing|ed)?(?: (?:of|the|your|a|mail|message|email))* (?:to|for)|(?:unknown|invalid|final) (?:user|recipient|userid)|userid|user|account|could not be sent to|mail to|was not sent to)\b[^@<\n]{0,60}?<?(` + local + `@` + domain + `)`)
	// The address that the last one was made of.
	formerly = regexp.MustCompile(`(?i)^[ \t>]*original[ -](?:address|recipient)[ \t]*:[^@\n]{0,20}?<?(` + local + `@` + domain + `)`)
	// Lines about the sender, or whom to ask.
	aside = regexp.MustCompile(`(?i)^[ \t>]*(?:from|sender|original sender|reply-to|return-path|subject|cc|message-id|in-reply-to|errors-to|x-\S+|received|for (?:further )?(?:assistance|help)|please (?:contact|send)|if you|contact|<<<|helo|>>> mail)\b`)
	// What qmail and its kind add to each reply.
	closing = regexp.MustCompile(`(?i)i'm not going to try again;?[^\n]*(?:\n[^\n]*too long\.)?|\bgiving up on [^\n]*|this is a permanent error[^\n]*|[^\n]*given up\. sorry[^\n]*|(?:\n|^)--+ ?(?:enclosed|below)[^\n]*`)
)

// block is what a text says about one address.
type block struct {
	address  string
	original string // the address that it was before a list or an alias, if the text tells
	text     string
}

// blocksOf cuts the text at the lines that are led by a recipient, or, if there
// are none such, by one behind a label. It is nil if nobody is named so.
func blocksOf(p *pieces) []block {
	ignore := p.notRecipients()
	lines := strings.Split(p.text, "\n")
	for _, how := range []*regexp.Regexp{leads, labelled} {
		if found := cutAt(lines, how, ignore); found != nil {
			return found
		}
	}
	if p.head.Count("X-Failed-Recipients") > 0 {
		return nil
	}
	return cutAt(lines, leads, func(string) bool { return false }) // somebody wrote to himself
}

func cutAt(lines []string, how *regexp.Regexp, ignore func(string) bool) []block {
	var found []block
	known := map[string]int{} // places in found, by address in small letters
	at := -1                  // of found, which the line is about
	for _, line := range lines {
		if m := formerly.FindStringSubmatch(line); m != nil && at >= 0 {
			found[at].original = m[1]
		} else if m := how.FindStringSubmatchIndex(line); m != nil && !aside.MatchString(line) {
			a := line[m[2]:m[3]]
			if i, ok := known[strings.ToLower(a)]; ok {
				at = i
			} else if !ignore(a) && len(found) < MaxRecipients {
				at = len(found)
				known[strings.ToLower(a)] = at
				found = append(found, block{address: a})
			}
		}
		if at >= 0 && len(found[at].text) < maxWords {
			found[at].text += line + "\n"
		}
	}
	return found
}

// notRecipients says which addresses are no recipients: those to and from which
// the report itself goes, and the people to ask.
func (p *pieces) notRecipients() func(string) bool {
	var own []string
	for _, name := range []string{"To", "From", "Return-Path", "Reply-To", "Sender"} {
		list, _ := header.Mailboxes(mime.DecodeAddresses(p.head.Text(name)), 100)
		for _, a := range list {
			own = append(own, a.String())
		}
	}
	failed := strings.ToLower(p.head.Text("X-Failed-Recipients"))
	return func(a string) bool {
		l, _, _ := strings.Cut(strings.ToLower(a), "@")
		if strings.Contains(failed, strings.ToLower(a)) {
			return false
		}
		switch l {
		case "postmaster", "mailer-daemon", "abuse", "support", "helpdesk":
			return true
		}
		return slices.ContainsFunc(own, func(o string) bool { return sameAddress(o, a) })
	}
}

// wordsReport reads a report that has no delivery status.
func wordsReport(p *pieces, m *Message) bool {
	if !p.looksReported() {
		return false
	}
	action := dsn.Failed
	if delayed.MatchString(p.head.Text("Subject")+"\n"+p.text) && !failed.MatchString(p.text) {
		action = dsn.Delayed
	}
	blocks := blocksOf(p)
	if blocks == nil {
		for _, a := range p.named(m.Original.To) {
			blocks = append(blocks, block{address: a})
		}
	}
	if blocks == nil {
		return false
	}
	m.Kind = Report
	all := whole{text: strings.TrimSpace(p.text), reply: findReply(closing.ReplaceAllString(p.text, "")), command: commandIn(p.text)}
	for i := range blocks {
		m.Recipients = append(m.Recipients, ofBlock(&blocks[i], &all, len(blocks) == 1, action))
	}
	return true
}

// named are the recipients where the text does not tell: those of the report's
// own fields, any address in the text, those of the original.
func (p *pieces) named(to string) []string {
	var all []string
	ignore := p.notRecipients()
	add := func(a string) {
		if !ignore(a) && len(all) < MaxRecipients && !slices.ContainsFunc(all, func(o string) bool { return sameAddress(o, a) }) {
			all = append(all, a)
		}
	}
	for _, text := range []string{p.head.Text("X-Failed-Recipients"), p.head.Text("X-Actual-Recipients"), p.withoutAsides(), to} {
		for _, a := range address.FindAllString(text, MaxRecipients) {
			add(a)
		}
		if all != nil {
			return all
		}
	}
	return nil
}

func (p *pieces) withoutAsides() string {
	var b strings.Builder
	for line := range strings.Lines(p.text) {
		if !aside.MatchString(line) {
			b.WriteString(line)
		}
	}
	return b.String()
}

// whole is what a text says, whomever it is about. It is looked through once,
// however many recipients there are.
type whole struct {
	text    string
	reply   reply
	command string
}

// ofBlock reads what the text says of a recipient: the reply in its block, else
// the first words there, else what stands elsewhere.
func ofBlock(b *block, all *whole, only bool, action dsn.Action) Recipient {
	t := Recipient{Address: b.address, Action: action}
	if !sameAddress(b.original, b.address) {
		t.Original = b.original
	}
	said := closing.ReplaceAllString(b.text, "")
	r := findReply(said)
	t.Command = commandIn(b.text)
	if r.code == 0 && (only || !hasWords(afterAddress(said, b.address))) {
		if all.reply.code != 0 {
			r = all.reply
			t.Command = first(t.Command, all.command)
		}
	}
	if only {
		t.Command = first(t.Command, all.command)
	}
	t.Code, t.Status = r.code, r.status
	if t.Code != 0 {
		t.Text = r.text
	} else {
		t.Text = firstWords(afterAddress(said, b.address))
		t.Local = true
	}
	t.Notes = b.text
	if only || !hasWords(t.Text) {
		t.Notes = strings.TrimSpace(b.text + "\n" + clip(all.text, maxWords))
	}
	return t
}

// afterAddress is a block without the address that leads it.
func afterAddress(s, a string) string {
	if _, after, ok := strings.Cut(s, a); ok {
		return strings.TrimLeft(after, "> \t:;,.\n")
	}
	return s
}

// firstWords is the first paragraph that says something, and does not just announce
// another.
func firstWords(s string) string {
	for paragraph := range strings.SplitSeq(s, "\n\n") {
		if hasWords(paragraph) && !strings.HasSuffix(strings.TrimSpace(paragraph), ":") {
			return strings.TrimSpace(paragraph)
		}
	}
	return ""
}
