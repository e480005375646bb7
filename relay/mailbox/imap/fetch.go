package imap

import (
	"errors"
	"slices"

	"tenma/relay/mailbox"
	"tenma/relay/mailbox/imap/fetch"
	wire "tenma/relay/wire/imap"
	"tenma/relay/wire/mime"
)

// fetching is a FETCH command being answered (RFC 9051 section 6.4.5).
type fetching struct {
	s     *session
	items []wire.Item
	since uint64 // CHANGEDSINCE

	record bool           // what the store keeps beside a message is asked for
	msg    *fetch.Message // what its octets show is; nil: it is not
	seen   bool           // \Seen is to be set
	// changed is what a message that was given \Seen is told of besides.
	changed []wire.Item

	gone     bool         // some messages were
	encoding bool         // BINARY of an unknown encoding was asked
	marked   map[int]bool // messages that were given \Seen in this run
}

// seenRun is how many messages are given \Seen in one step of the store, before they
// are sent.
const seenRun = 200

// cmdFetch answers FETCH.
func (s *session) cmdFetch(c *command) error {
	set := c.p.Set()
	c.p.SP()
	items, opts := c.p.Fetch()
	if err := c.p.End(); err != nil {
		return err
	}
	f := s.newFetch(items, opts.ChangedSince, c.uid)
	list, err := s.spans(set, c.uid)
	if err != nil {
		return err
	}
	for _, sp := range list {
		if err := f.span(sp); err != nil {
			return err
		}
	}
	switch {
	case f.encoding:
		return no("UNKNOWN-CTE", "The encoding of a part is unknown here: fetch it with BODY") // RFC 3516 section 4.3
	case f.gone:
		c.done = ok("EXPUNGEISSUED", "Some of the messages are gone") // RFC 5530 section 3
	}
	return nil
}

func (s *session) newFetch(items []wire.Item, since uint64, uid bool) *fetching {
	f := &fetching{s: s, items: items, since: since}
	has := func(k wire.Kind) bool {
		return slices.ContainsFunc(f.items, func(i wire.Item) bool { return i.Kind == k })
	}
	if uid && !has(wire.UID) { // RFC 9051 section 6.4.9
		f.items = slices.Insert(f.items, 0, wire.Item{Kind: wire.UID})
	}
	if since > 0 && !has(wire.ModSeq) { // RFC 7162 section 3.1.4.1
		f.items = append(f.items, wire.Item{Kind: wire.ModSeq})
	}
	if has(wire.ModSeq) {
		s.enableCondstore()
	}
	if !has(wire.Flags) {
		f.changed = append(f.changed, wire.Item{Kind: wire.Flags})
	}
	if s.condstore && !has(wire.ModSeq) {
		f.changed = append(f.changed, wire.Item{Kind: wire.ModSeq})
	}
	for i := range f.items {
		it := &f.items[i]
		switch it.Kind {
		case wire.Size, wire.InternalDate, wire.SaveDate:
			f.record = true
		case wire.BodySection, wire.Binary, wire.RFC822, wire.RFC822Text:
			f.seen = f.seen || !it.Section.Peek && !s.view.ReadOnly()
		}
	}
	if slices.ContainsFunc(f.items, func(i wire.Item) bool { return fetch.Needs(i.Kind) }) {
		f.record, f.msg = true, fetch.New(f.items)
	}
	return f
}

// span answers for a run of messages.
func (f *fetching) span(sp span) error {
	if !f.seen {
		return f.messages(sp)
	}
	for first := sp.first; first <= sp.last; first += seenRun {
		piece := span{first, min(first+seenRun-1, sp.last)}
		f.mark(piece)
		if err := f.messages(piece); err != nil {
			return err
		}
	}
	return nil
}

// mark gives \Seen to messages that have it not (RFC 9051 section 6.4.5). If that
// fails they are sent all the same.
func (f *fetching) mark(sp span) {
	v := f.s.view
	f.marked = nil
	var unseen []int
	for n := sp.first; n <= sp.last; n++ {
		if flags, modSeq := v.Flags(n); flags&mailbox.Seen == 0 && (f.since == 0 || modSeq > f.since) {
			unseen = append(unseen, n)
		}
	}
	if len(unseen) == 0 {
		return
	}
	if _, err := v.Store(f.s.l.s.work, unseen, mailbox.AddFlags, []string{`\Seen`}, 0); err != nil {
		f.s.log().Warn("messages could not be marked as seen", "error", err)
		return
	}
	f.s.touch(unseen)
	f.marked = make(map[int]bool, len(unseen))
	for _, n := range unseen {
		if flags, _ := v.Flags(n); flags&mailbox.Seen != 0 {
			f.marked[n] = true
		}
	}
}

func (f *fetching) messages(sp span) error {
	var failed error
	told := sp.first
	one := func(seq int, m *mailbox.Message) bool {
		if _, modSeq := f.s.view.Flags(seq); f.since > 0 && modSeq <= f.since {
			return true
		}
		failed = f.message(seq, m)
		return failed == nil
	}
	if f.record {
		err := f.s.view.Each(f.s.l.s.work, sp.first, sp.last, func(seq int, m *mailbox.Message) bool {
			f.gone = f.gone || seq > told
			told = seq + 1
			return one(seq, m)
		})
		if failed == nil && err == nil && told <= sp.last {
			f.gone = true
		}
		return errors.Join(failed, err)
	}
	for seq := sp.first; seq <= sp.last; seq++ {
		if !one(seq, nil) {
			return failed
		}
	}
	return nil
}

// message writes the response for one message. Errors before its first octet are
// answered; after that the connection has to end, since the response cannot.
func (f *fetching) message(seq int, m *mailbox.Message) error {
	s, w := f.s, f.s.out
	err := f.begin(m)
	if errors.Is(err, mailbox.ErrExpunged) {
		f.gone = true
		return nil
	}
	if err != nil {
		return err
	}
	if f.msg != nil {
		defer f.msg.End()
	}
	w.Raw("* ")
	w.Number(int64(seq))
	w.Raw(" FETCH (")
	for i := range f.items {
		if i > 0 {
			w.Raw(" ")
		}
		if err := f.item(&f.items[i], seq, m); err != nil {
			_ = s.conn.Close() // the error is on its way
			return err
		}
	}
	if f.marked[seq] {
		for _, it := range f.changed {
			w.Raw(" ")
			if err := f.item(&it, seq, m); err != nil {
				return err
			}
		}
	}
	w.Raw(")\r\n")
	return w.Err()
}

// begin finds what is to be known of a message's octets, if anything is.
func (f *fetching) begin(m *mailbox.Message) error {
	if f.msg == nil {
		return nil
	}
	s := f.s
	var tree *mime.Part
	if s.tree.uid == m.UID {
		tree = s.tree.tree
	}
	if err := f.msg.Begin(&m.Digest, func() (fetch.Source, error) { return s.view.OpenGiven(m) }, tree); err != nil {
		return err
	}
	if tree := f.msg.Tree(); tree != nil {
		s.tree = treeOf{m.UID, tree}
	}
	return nil
}

func (f *fetching) item(it *wire.Item, seq int, m *mailbox.Message) error {
	s, w := f.s, f.s.out
	switch it.Kind {
	case wire.UID:
		w.Raw("UID ")
		w.Number(int64(s.view.UID(seq)))
	case wire.Flags:
		flags, _ := s.view.Flags(seq)
		w.Raw("FLAGS ")
		s.writeFlagsOf(seq, flags)
	case wire.ModSeq:
		_, modSeq := s.view.Flags(seq)
		w.Raw("MODSEQ (")
		w.Unsigned(modSeq)
		w.Raw(")")
	case wire.Size:
		w.Raw("RFC822.SIZE ")
		w.Number(m.Size)
	case wire.InternalDate:
		w.Raw("INTERNALDATE ")
		w.DateTime(m.Date)
	case wire.SaveDate:
		w.Raw("SAVEDATE ")
		w.DateTime(m.Saved)
	default:
		err := f.msg.Write(w, it)
		if errors.Is(err, fetch.ErrEncoding) {
			f.encoding = true
			return nil
		}
		return err
	}
	return nil
}
