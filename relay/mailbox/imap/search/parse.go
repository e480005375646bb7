package search

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
)

// Errors of the parsers, besides ErrTooLarge, which wants a NO.
var (
	ErrSyntax  = errors.New("search: not understood")                  // BAD
	ErrCharset = errors.New("search: only US-ASCII and UTF-8, please") // NO [BADCHARSET (US-ASCII UTF-8)]
)

// Command is a SEARCH, SORT or THREAD as it was given.
type Command struct {
	Query    *Query
	Return   imap.SearchOptions
	Extended bool      // RETURN was given: the answer is an ESEARCH (RFC 4731, 5267)
	Page     Page      // PARTIAL: which of the results are told, if not the zero Page
	Update   bool      // the client wants to hear of changes of the result (RFC 5267 section 4.3)
	Sort     []Key     // of SORT
	Thread   Algorithm // of THREAD
}

// Parse reads the arguments of SEARCH (RFC 9051 section 9, search; with the keys
// of RFC 5032, 7162 and 8514), in which literals stand as quoted strings.
// Errors wrap ErrSyntax, ErrCharset or ErrTooLarge.
//
// It is not the library's parser, which forgets SMALLER when another condition
// follows, and in which LARGER 0 and SMALLER 0 mean nothing.
func Parse(args string) (*Command, error) {
	p := parser{s: args}
	c := &Command{}
	if err := p.returns(c); err != nil {
		return nil, err
	}
	if p.word("CHARSET") {
		if err := p.charset(); err != nil {
			return nil, err
		}
	}
	return c, p.rest(c)
}

// ParseSort reads the arguments of SORT (RFC 5256 section 3, RFC 5267 section
// 3.2). Errors are Parse's.
func ParseSort(args string) (*Command, error) {
	p := parser{s: args}
	c := &Command{}
	if err := p.returns(c); err != nil {
		return nil, err
	}
	if err := p.keys(c); err != nil {
		return nil, err
	}
	if err := p.charset(); err != nil {
		return nil, err
	}
	return c, p.rest(c)
}

// ParseThread reads the arguments of THREAD (RFC 5256 section 3). Errors are
// Parse's.
func ParseThread(args string) (*Command, error) {
	p := parser{s: args}
	c := &Command{}
	switch name, _ := p.atom(); strings.ToUpper(name) {
	case "ORDEREDSUBJECT":
		c.Thread = OrderedSubject
	case "REFERENCES":
		c.Thread = References
	default:
		return nil, p.bad("algorithm %q", name)
	}
	if !p.space() {
		return nil, p.bad("no charset")
	}
	if err := p.charset(); err != nil {
		return nil, err
	}
	return c, p.rest(c)
}

type parser struct {
	s string
	i int
	builder
}

func (p *parser) bad(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrSyntax}, args...)...)
}

// charset reads a charset and the space behind it.
func (p *parser) charset() error {
	name, ok := p.string()
	if !ok || !p.space() {
		return p.bad("charset")
	}
	if !strings.EqualFold(name, "UTF-8") && !strings.EqualFold(name, "US-ASCII") {
		return fmt.Errorf("%w, not %.40q", ErrCharset, name)
	}
	return nil
}

// rest reads the keys up to the end. Options that were not given mean ALL
// (RFC 9051 section 6.4.4).
func (p *parser) rest(c *Command) error {
	n, err := p.list()
	if err != nil {
		return err
	}
	if p.i != len(p.s) {
		return p.bad("%.40q is too much", p.s[p.i:])
	}
	if o := &c.Return; !o.ReturnMin && !o.ReturnMax && !o.ReturnCount && !o.ReturnSave && !c.Update && c.Page == (Page{}) {
		o.ReturnAll = true
	}
	c.Query = p.finish(n)
	return nil
}

// list reads keys with spaces between them.
func (p *parser) list() (*node, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	var kids []*node
	for {
		n, err := p.key()
		if err != nil {
			return nil, err
		}
		kids = append(kids, n)
		if !p.space() {
			return p.join(all, kids)
		}
	}
}

func (p *parser) key() (*node, error) {
	if p.char('(') {
		n, err := p.list()
		if err == nil && !p.char(')') {
			err = p.bad("no closing bracket")
		}
		return n, err
	}
	name, ok := p.atom()
	if !ok {
		return nil, p.bad("no key at %.40q", p.s[p.i:])
	}
	name = strings.ToUpper(name)
	switch name {
	case "ALL", "SAVEDATESUPPORTED": // every folder knows when a message came into it (RFC 8514 section 4.3)
		return p.node(node{kind: all})
	case "ANSWERED", "DELETED", "DRAFT", "FLAGGED", "RECENT", "SEEN":
		return p.node(flagNode(`\` + name))
	case "UNANSWERED", "UNDELETED", "UNDRAFT", "UNFLAGGED", "UNSEEN":
		return p.negated(flagNode(`\` + name[2:]))
	case "OLD":
		return p.negated(node{kind: recent})
	case "NEW":
		return p.both(node{kind: recent}, flagNode(`\seen`), true)
	case "NOT", "OR":
		return p.combined(name)
	case "$":
		return p.node(node{kind: saved})
	}
	if name[0] >= '0' && name[0] <= '9' || name[0] == '*' {
		return p.set(seqSet, name)
	}
	if !p.space() {
		return nil, p.bad("%.40q is no key, or lacks something", name)
	}
	return p.keyOf(name)
}

// keyOf reads what a key with an argument wants.
func (p *parser) keyOf(name string) (*node, error) {
	switch name {
	case "UID":
		set, _ := p.atom()
		if set == "$" {
			return p.node(node{kind: saved})
		}
		return p.set(uidSet, set)
	case "KEYWORD", "UNKEYWORD":
		flag, ok := p.atom()
		if !ok {
			return nil, p.bad("%s without name", name)
		}
		if name == "KEYWORD" {
			return p.node(flagNode(flag))
		}
		return p.negated(flagNode(flag))
	case "BCC", "CC", "FROM", "SUBJECT", "TO", "BODY", "TEXT":
		text, ok := p.string()
		if !ok {
			return nil, p.bad("%s without text", name)
		}
		k := field
		switch name {
		case "BODY":
			k = bodySeek
		case "TEXT":
			k = textSeek
		}
		n := node{kind: k, text: []byte(text)}
		if k == field {
			n.name = name
		}
		return p.node(n)
	case "HEADER":
		field, ok := p.string()
		if !ok || !p.space() {
			return nil, p.bad("HEADER without name")
		}
		text, ok := p.string()
		if !ok {
			return nil, p.bad("HEADER without text")
		}
		return p.header(field, text)
	case "LARGER", "SMALLER", "OLDER", "YOUNGER":
		n, err := p.number()
		if err != nil {
			return nil, err
		}
		switch name {
		case "LARGER":
			return p.node(node{kind: larger, n: n})
		case "SMALLER":
			return p.node(node{kind: smaller, n: n})
		case "OLDER":
			return p.negated(node{kind: younger, n: n})
		}
		return p.node(node{kind: younger, n: n})
	case "MODSEQ":
		return p.modSeq()
	}
	return p.dated(name)
}

func (p *parser) header(name, text string) (*node, error) {
	return p.node(node{kind: field, name: name, text: []byte(text)})
}

// dated reads a key with a date.
func (p *parser) dated(name string) (*node, error) {
	var from, to kind
	switch rest, sent := strings.CutPrefix(name, "SENT"); {
	case sent:
		name, from, to = rest, sentSince, sentBefore
	case strings.HasPrefix(name, "SAVED"): // RFC 8514 section 4.3
		name, from, to = name[len("SAVED"):], savedSince, savedBefore
	default:
		from, to = since, before
	}
	if name != "SINCE" && name != "BEFORE" && name != "ON" {
		return nil, p.bad("%.40q is no key", name)
	}
	text, ok := p.string()
	day, err := time.Parse("2-Jan-2006", text)
	if !ok || err != nil {
		return nil, p.bad("%.40q is no date", text)
	}
	n := calendarDay(day)
	switch name {
	case "SINCE":
		return p.node(node{kind: from, day: n})
	case "BEFORE":
		return p.node(node{kind: to, day: n})
	}
	return p.both(node{kind: from, day: n}, node{kind: to, day: n + 1}, false)
}

// modSeq reads the argument of MODSEQ: an entry, which may be left out, and a
// number (RFC 7162 section 3.1.5). There is one mod-sequence for all entries.
func (p *parser) modSeq() (*node, error) {
	if p.i < len(p.s) && p.s[p.i] == '"' {
		if _, ok := p.string(); !ok || !p.space() {
			return nil, p.bad("MODSEQ without type")
		}
		switch typ, _ := p.atom(); strings.ToLower(typ) {
		case "all", "priv", "shared":
		default:
			return nil, p.bad("MODSEQ of type %.40q", typ)
		}
		if !p.space() {
			return nil, p.bad("MODSEQ without number")
		}
	}
	n, err := p.number()
	if err != nil {
		return nil, err
	}
	return p.node(node{kind: modSeq, n: n})
}

func (p *parser) combined(name string) (*node, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	if !p.space() {
		return nil, p.bad("%s without key", name)
	}
	n, err := p.key()
	if err != nil {
		return nil, err
	}
	if name == "NOT" {
		return p.negate(n)
	}
	if !p.space() {
		return nil, p.bad("OR with one key")
	}
	m, err := p.key()
	if err != nil {
		return nil, err
	}
	return p.join(anyOf, []*node{n, m})
}

func (p *parser) negated(n node) (*node, error) {
	k, err := p.node(n)
	if err != nil {
		return nil, err
	}
	return p.negate(k)
}

// both joins two conditions, the second perhaps negated.
func (p *parser) both(n, m node, negated bool) (*node, error) {
	k, err := p.node(n)
	if err != nil {
		return nil, err
	}
	l, err := p.node(m)
	if err == nil && negated {
		l, err = p.negate(l)
	}
	if err != nil {
		return nil, err
	}
	return p.join(all, []*node{k, l})
}

func (p *parser) set(k kind, text string) (*node, error) {
	var set []imap.SeqRange
	for more := true; more; {
		var item string
		item, text, more = strings.Cut(text, ",")
		first, last, two := strings.Cut(item, ":")
		if !two {
			last = first
		}
		a, ok := setNumber(first)
		b, also := setNumber(last)
		if !ok || !also {
			return nil, p.bad("%.40q is no number", item)
		}
		set = append(set, imap.SeqRange{Start: a, Stop: b})
	}
	return p.node(node{kind: k, set: set})
}

// setNumber: 0 stands for "*".
func setNumber(s string) (n uint32, ok bool) {
	if s == "*" {
		return 0, true
	}
	v, err := strconv.ParseUint(s, 10, 32)
	return uint32(v), err == nil && v > 0 && s[0] != '+'
}

func (p *parser) number() (uint64, error) {
	s, _ := p.atom()
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return 0, p.bad("%.40q is no number", s)
	}
	return n, nil
}

// space goes over the space that comes next; programs that send two are
// forgiven.
func (p *parser) space() bool {
	from := p.i
	for p.i < len(p.s) && p.s[p.i] == ' ' {
		p.i++
	}
	return p.i > from
}

func (p *parser) char(c byte) bool {
	if p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return true
	}
	return false
}

// word goes over a word and the space behind it, if it comes next.
func (p *parser) word(w string) bool {
	if n := p.i + len(w); n < len(p.s) && strings.EqualFold(p.s[p.i:n], w) && p.s[n] == ' ' {
		p.i = n
		return p.space()
	}
	return false
}

// atom reads up to a space or bracket.
func (p *parser) atom() (string, bool) {
	from := p.i
	for p.i < len(p.s) && strings.IndexByte(" ()\"\r\n", p.s[p.i]) < 0 {
		p.i++
	}
	return p.s[from:p.i], p.i > from
}

// string reads an atom or a quoted string.
func (p *parser) string() (string, bool) {
	if !p.char('"') {
		return p.atom()
	}
	var b strings.Builder
	for ; p.i < len(p.s); p.i++ {
		switch c := p.s[p.i]; c {
		case '"':
			p.i++
			return b.String(), true
		case '\\':
			if p.i++; p.i < len(p.s) {
				b.WriteByte(p.s[p.i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", false
}
