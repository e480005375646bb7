package mime

import (
	"strings"

	"tenma/relay/wire/header"
)

// Envelope is what IMAP's ENVELOPE shows of a header (RFC 9051 section 7.5.2).
// Texts are as they stand, unfolded: encoded words stay encoded. nil is for a
// field that is absent.
type Envelope struct {
	Date, Subject         *string
	From, Sender, ReplyTo []Address // Sender and ReplyTo are From where absent or empty
	To, Cc, Bcc           []Address
	InReplyTo, MessageID  *string
}

// Address is a mailbox of an address list, or the start or end of a group.
type Address struct {
	Name  string // display name as it stands, without quotation marks; "": none
	Route string // source route of RFC 822, "@a,@b"; "": none
	// Mailbox and Host are never both empty but at the end of a group. A group
	// starts with its name in Mailbox, and no Host.
	Mailbox, Host string
}

// GroupStart tells whether a begins a group.
func (a Address) GroupStart() bool { return a.Host == "" && a.Mailbox != "" }

// GroupEnd tells whether a ends a group.
func (a Address) GroupEnd() bool { return a.Host == "" && a.Mailbox == "" }

// What stands for the halves of an address that are not there: clients take
// NIL for a group, and the names are those that Dovecot's users know.
const (
	NoMailbox = "MISSING_MAILBOX"
	NoHost    = "MISSING_DOMAIN"
)

// MaxEnvelope bounds the octets of texts and addresses in one Envelope, each
// address counted as 64 octets and its texts.
const MaxEnvelope = 256 << 10

// ParseEnvelope reads the envelope in a header section. Of a field that occurs
// more often the first counts, of address lists all do.
func ParseEnvelope(h header.Section) *Envelope {
	k := keeper{left: MaxEnvelope}
	return k.envelope(h)
}

func (k *keeper) envelope(h header.Section) *Envelope {
	var e Envelope
	for f := range h.Fields() {
		if len(f.Raw) == 0 {
			continue
		}
		switch f.Raw[0] | 0x20 {
		case 'd':
			k.first(&e.Date, f, "date")
		case 's':
			k.first(&e.Subject, f, "subject")
			k.list(&e.Sender, f, "sender")
		case 'f':
			k.list(&e.From, f, "from")
		case 'r':
			k.list(&e.ReplyTo, f, "reply-to")
		case 't':
			k.list(&e.To, f, "to")
		case 'c':
			k.list(&e.Cc, f, "cc")
		case 'b':
			k.list(&e.Bcc, f, "bcc")
		case 'i':
			k.first(&e.InReplyTo, f, "in-reply-to")
		case 'm':
			k.first(&e.MessageID, f, "message-id")
		}
	}
	e.fill()
	return &e
}

// fill puts From where it stands for another (RFC 9051 section 7.5.2).
func (e *Envelope) fill() {
	if len(e.Sender) == 0 {
		e.Sender = e.From
	}
	if len(e.ReplyTo) == 0 {
		e.ReplyTo = e.From
	}
}

func (k *keeper) first(to **string, f header.Field, name string) {
	if *to == nil && f.Is(name) {
		if s := clean(f.Text()); k.take(len(s) + paramCost/2) {
			*to = &s
		}
	}
}

func (k *keeper) list(to *[]Address, f header.Field, name string) {
	if f.Is(name) {
		*to = append(*to, k.addresses(f.Text())...)
	}
}

// ParseAddresses reads an address list, at most MaxEnvelope octets of one.
// Whatever it holds comes out as some address, and a group that has no end gets
// one.
func ParseAddresses(list string) []Address {
	k := keeper{left: MaxEnvelope}
	return k.addresses(list)
}

func (k *keeper) addresses(list string) []Address {
	p := addressParser{lexer: lexer{s: list}, keep: k}
	for p.member() {
	}
	if p.group {
		p.add(Address{})
	}
	return p.list
}

// addressParser reads an address list (RFC 5322 sections 3.4 and 4.4).
type addressParser struct {
	lexer
	keep  *keeper
	list  []Address
	group bool
	full  bool
}

func (p *addressParser) add(a Address) {
	// A group's end is kept whatever comes: its start was.
	if !a.GroupEnd() && !p.keep.take(addressCost+len(a.Name)+len(a.Route)+len(a.Mailbox)+len(a.Host)) {
		p.full = true
		return
	}
	p.list = append(p.list, Address{strings.Clone(a.Name), strings.Clone(a.Route), strings.Clone(a.Mailbox), strings.Clone(a.Host)})
}

// member reads one member of the list with the comma behind it, or the start or
// end of a group. It says false at the end.
func (p *addressParser) member() bool {
	var (
		phrase  text // all words, with a space where one was
		local   text // before an "@", without spaces
		host    text // behind it
		comment string
		words   int
		at      bool
	)
	finish := func() {
		if phrase.empty() && !at {
			return // nothing between two commas
		}
		a := Address{Name: comment, Mailbox: local.String(), Host: host.String()}
		if !at && words > 1 { // a name and nothing else
			a.Name, a.Mailbox = phrase.String(), ""
		}
		p.add(a.complete())
	}
	for !p.full {
		spaced := p.i < len(p.s) && (p.s[p.i] == ' ' || p.s[p.i] == '\t')
		for p.i < len(p.s) && (p.s[p.i] <= ' ' || p.s[p.i] == 0x7f) {
			p.i++
		}
		if p.i == len(p.s) {
			finish()
			return false
		}
		var word string
		switch c := p.s[p.i]; {
		case c == '(':
			if w := strings.TrimSpace(p.comment()); w != "" {
				comment = w
			}
			continue
		case c == ',':
			p.i++
			finish()
			return true
		case c == ';':
			p.i++
			finish()
			if p.group {
				p.group = false
				p.add(Address{})
			}
			return true
		case c == '<':
			p.i++
			a := p.angle()
			if a.Name = phrase.String(); phrase.empty() {
				a.Name = comment
			}
			p.add(a.complete())
			p.afterAngle()
			return true
		case c == ':' && !at && !p.group && !phrase.empty():
			p.i++
			p.group = true
			if p.add(Address{Mailbox: phrase.String()}); p.full {
				p.group = false // it did not begin
			}
			return true
		case c == '"':
			word = p.quoted()
		case c == '@':
			p.i++
			at, word = true, "@"
			phrase.add(word, false)
			if !host.empty() {
				host.add(word, false)
			}
			continue
		case c == '[':
			word = p.literal()
		case isWord(c):
			word = p.word()
		default: // it has no business here
			p.i++
			word = p.s[p.i-1 : p.i]
		}
		words++
		phrase.add(word, spaced)
		if at {
			host.add(word, false)
		} else {
			local.add(word, false)
		}
	}
	return false
}

// angle reads what stands between angle brackets, up to the right one, or to a
// comma behind a host.
func (p *addressParser) angle() (a Address) {
	var local, host, route text
	at := false
	for p.i < len(p.s) {
		switch c := p.s[p.i]; {
		case c <= ' ':
			p.i++
		case c == '>':
			p.i++
			return Address{Route: route.String(), Mailbox: local.String(), Host: host.String()}
		case c == '(':
			p.comment()
		case c == '"':
			w := p.quoted()
			if at {
				host.add(w, false)
			} else {
				local.add(w, false)
			}
		case c == ':' && at && local.empty(): // what came was a route
			p.i++
			route, host, at = text{b: "@" + host.String()}, text{}, false
		case c == '@' && !at:
			p.i++
			at = true
		case c == ',' && at && !local.empty():
			return Address{Route: route.String(), Mailbox: local.String(), Host: host.String()}
		default:
			w := p.s[p.i : p.i+1]
			if isWord(c) {
				w = p.word()
			} else {
				p.i++
			}
			if at {
				host.add(w, false)
			} else {
				local.add(w, false)
			}
		}
	}
	return Address{Route: route.String(), Mailbox: local.String(), Host: host.String()}
}

// afterAngle goes over what stands behind an address up to the comma, or
// before the semicolon of a group.
func (p *addressParser) afterAngle() {
	for p.i < len(p.s) {
		switch p.s[p.i] {
		case ',':
			p.i++
			return
		case ';':
			return
		case '(':
			p.comment()
		case '"':
			p.quoted()
		case '<': // the comma was forgotten
			return
		default:
			p.i++
		}
	}
}

func (a Address) complete() Address {
	if a.Mailbox == "" {
		a.Mailbox = NoMailbox
	}
	if a.Host == "" {
		a.Host = NoHost
	}
	return a
}

func isWord(c byte) bool {
	return c > ' ' && c != 0x7f && strings.IndexByte(`()<>@,;:\"[]`, c) < 0
}

func (p *addressParser) word() string {
	from := p.i
	for p.i < len(p.s) && isWord(p.s[p.i]) {
		p.i++
	}
	return p.s[from:p.i]
}

// literal reads an address literal, with its brackets (RFC 5322 section 3.4.1).
func (p *addressParser) literal() string {
	from := p.i
	for p.i < len(p.s) && p.s[p.i] != ',' && p.s[p.i] != '>' {
		p.i++
		if p.s[p.i-1] == ']' {
			break
		}
	}
	return p.s[from:p.i]
}

// text is built of words. The first costs nothing.
type text struct {
	b    string
	more []byte
}

func (t *text) empty() bool { return t.b == "" && len(t.more) == 0 }

func (t *text) add(word string, spaced bool) {
	if t.empty() {
		t.b = word
		return
	}
	if t.more == nil {
		t.more = append(make([]byte, 0, len(t.b)+len(word)+16), t.b...)
	}
	if spaced {
		t.more = append(t.more, ' ')
	}
	t.more = append(t.more, word...)
}

func (t *text) String() string {
	if t.more != nil {
		return string(t.more)
	}
	return t.b
}
