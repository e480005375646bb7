package search

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"

	"tenma/relay/mailbox"
)

// Bounds of a Query. People's programs ask for some ten conditions at most.
const (
	MaxNodes = 1000     // conditions, those that join others included
	MaxDepth = 100      // how deep they lie in one another
	MaxText  = 16 << 10 // octets of all texts together
	maxRange = 10_000   // ranges in all sets together
	maxSeek  = 64       // texts that are looked for in bodies
)

// ErrTooLarge is wrapped by the errors for queries beyond a bound.
var ErrTooLarge = errors.New("search: too much is asked at once")

// Query is a compiled search. It does not change and may be used from any
// goroutine.
type Query struct {
	root   *node
	nodes  int
	seeks  []seek // texts to look for in bodies, by node.seek
	modSeq bool
	saved  bool
	places bool // it speaks of message numbers
}

// ModSeq tells whether the query has a condition on mod-sequences: the answer
// must tell the highest one then (RFC 7162 section 3.1.5).
func (q *Query) ModSeq() bool { return q.modSeq }

// Saved tells whether the query refers to the result that was saved ("$", RFC
// 9051 section 6.4.4.1).
func (q *Query) Saved() bool { return q.saved }

type kind uint8

const (
	all kind = iota // every kid; none: every message
	anyOf
	not
	seqSet // and uidSet: ranges
	uidSet
	saved   // the saved result
	flagged // flag, or name of a keyword
	recent
	modSeq
	since  // internal date, on or after the day
	before // before it
	savedSince
	savedBefore
	younger // within so many seconds
	larger
	smaller
	sentSince
	sentBefore
	field    // name, text; "" asks whether there is one
	textSeek // header or body
	bodySeek
)

// node is one condition.
type node struct {
	kind kind
	id   int
	kids []*node
	set  []imap.SeqRange // as written: 0 is "*", either end may come first
	flag mailbox.Flags
	name string // of a keyword, or of a header field in lower case
	text []byte // folded
	n    uint64
	day  int // days since 1970, of the calendar
	seek int
}

type seek struct {
	text   []byte // folded
	header bool   // TEXT: the header counts too
}

// stage is a step of the search, by what is known of a message.
type stage uint8

const (
	byList stage = iota
	byDigest
	byHeader
	byText
)

// from is the first step that can tell.
func (n *node) from() stage {
	switch n.kind {
	case all, anyOf, not:
		s := byList
		for _, k := range n.kids {
			s = max(s, k.from())
		}
		return s
	case since, before, savedSince, savedBefore, younger, larger, smaller, sentSince, sentBefore:
		return byDigest
	case field:
		switch n.name {
		case "from", "to", "cc", "subject", "message-id", "in-reply-to":
			return byDigest // mostly
		}
		return byHeader
	case textSeek, bodySeek:
		return byText
	}
	return byList
}

// builder counts while a query is made.
type builder struct {
	q      Query
	depth  int
	text   int
	ranges int
}

func (b *builder) enter() error {
	if b.depth++; b.depth > MaxDepth {
		return fmt.Errorf("%w: more than %d levels", ErrTooLarge, MaxDepth)
	}
	return nil
}

func (b *builder) node(n node) (*node, error) {
	if b.q.nodes++; b.q.nodes > MaxNodes {
		return nil, fmt.Errorf("%w: more than %d conditions", ErrTooLarge, MaxNodes)
	}
	if b.text += len(n.text) + len(n.name); b.text > MaxText {
		return nil, fmt.Errorf("%w: more than %d octets of text", ErrTooLarge, MaxText)
	}
	if b.ranges += len(n.set); b.ranges > maxRange {
		return nil, fmt.Errorf("%w: more than %d ranges", ErrTooLarge, maxRange)
	}
	n.id = b.q.nodes
	switch n.kind {
	case modSeq:
		b.q.modSeq = true
	case saved:
		b.q.saved = true
	case seqSet:
		b.q.places = true
	case textSeek, bodySeek:
		n.text = fold(nil, n.text)
		s := seek{n.text, n.kind == textSeek}
		n.seek = slices.IndexFunc(b.q.seeks, func(o seek) bool { return o.header == s.header && string(o.text) == string(s.text) })
		if n.seek < 0 {
			n.seek = len(b.q.seeks)
			b.q.seeks = append(b.q.seeks, s)
		}
		if len(b.q.seeks) > maxSeek {
			return nil, fmt.Errorf("%w: more than %d texts", ErrTooLarge, maxSeek)
		}
	case field:
		n.name, n.text = strings.ToLower(n.name), fold(nil, n.text)
	}
	return &n, nil
}

// join makes one condition of several. What costs little is asked first.
func (b *builder) join(k kind, kids []*node) (*node, error) {
	if len(kids) == 1 {
		return kids[0], nil
	}
	slices.SortStableFunc(kids, func(x, y *node) int { return int(x.from()) - int(y.from()) })
	return b.node(node{kind: k, kids: kids})
}

func (b *builder) negate(n *node) (*node, error) {
	return b.node(node{kind: not, kids: []*node{n}})
}

func (b *builder) finish(n *node) *Query {
	b.q.root = n
	q := b.q
	return &q
}

// calendarDay numbers the days of the calendar: a date as it is written,
// whatever the zone (RFC 9051 section 6.4.4: "disregarding time and timezone").
func calendarDay(t time.Time) int {
	y, m, d := t.Date()
	return int(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

// systemFlag gives the bit of a system flag by its name in lower case.
func systemFlag(name string) mailbox.Flags {
	switch name {
	case `\seen`:
		return mailbox.Seen
	case `\answered`:
		return mailbox.Answered
	case `\flagged`:
		return mailbox.Flagged
	case `\deleted`:
		return mailbox.Deleted
	case `\draft`:
		return mailbox.Draft
	}
	return 0
}

func flagNode(name string) node {
	lower := strings.ToLower(name)
	if lower == `\recent` {
		return node{kind: recent}
	}
	return node{kind: flagged, flag: systemFlag(lower), name: name}
}
