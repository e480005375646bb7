package search

import (
	"github.com/emersion/go-imap/v2"
)

// Compile makes a Query of the library's criteria. Errors wrap ErrTooLarge.
func Compile(c *imap.SearchCriteria) (*Query, error) {
	b := &builder{}
	n, err := b.criteria(c)
	if err != nil {
		return nil, err
	}
	return b.finish(n), nil
}

func (b *builder) criteria(c *imap.SearchCriteria) (*node, error) {
	if err := b.enter(); err != nil {
		return nil, err
	}
	defer func() { b.depth-- }()
	var (
		kids  []*node
		first error
	)
	add := func(n *node, err error) {
		if first == nil && err != nil {
			first = err
		}
		kids = append(kids, n)
	}
	for _, s := range c.SeqNum {
		add(b.node(node{kind: seqSet, set: s}))
	}
	for _, s := range c.UID {
		if imap.IsSearchRes(s) {
			add(b.node(node{kind: saved}))
			continue
		}
		set := make([]imap.SeqRange, len(s))
		for i, r := range s {
			set[i] = imap.SeqRange{Start: uint32(r.Start), Stop: uint32(r.Stop)}
		}
		add(b.node(node{kind: uidSet, set: set}))
	}
	for _, f := range c.Flag {
		add(b.node(flagNode(string(f))))
	}
	for _, f := range c.NotFlag {
		n, err := b.node(flagNode(string(f)))
		if add(n, err); err == nil {
			kids = kids[:len(kids)-1]
			add(b.negate(n))
		}
	}
	if c.ModSeq != nil {
		add(b.node(node{kind: modSeq, n: c.ModSeq.ModSeq}))
	}
	for _, d := range []struct {
		kind kind
		set  bool
		day  int
	}{
		{since, !c.Since.IsZero(), calendarDay(c.Since)},
		{before, !c.Before.IsZero(), calendarDay(c.Before)},
		{sentSince, !c.SentSince.IsZero(), calendarDay(c.SentSince)},
		{sentBefore, !c.SentBefore.IsZero(), calendarDay(c.SentBefore)},
	} {
		if d.set {
			add(b.node(node{kind: d.kind, day: d.day}))
		}
	}
	if c.Larger > 0 {
		add(b.node(node{kind: larger, n: uint64(c.Larger)}))
	}
	if c.Smaller > 0 {
		add(b.node(node{kind: smaller, n: uint64(c.Smaller)}))
	}
	for _, h := range c.Header {
		add(b.node(node{kind: field, name: h.Key, text: []byte(h.Value)}))
	}
	for _, t := range c.Text {
		add(b.node(node{kind: textSeek, text: []byte(t)}))
	}
	for _, t := range c.Body {
		add(b.node(node{kind: bodySeek, text: []byte(t)}))
	}
	for i := range c.Not {
		n, err := b.criteria(&c.Not[i])
		if err != nil {
			return nil, err
		}
		add(b.negate(n))
	}
	for i := range c.Or {
		var two [2]*node
		for j := range two {
			var err error
			if two[j], err = b.criteria(&c.Or[i][j]); err != nil {
				return nil, err
			}
		}
		add(b.join(anyOf, two[:]))
	}
	if first != nil {
		return nil, first
	}
	return b.join(all, kids)
}
