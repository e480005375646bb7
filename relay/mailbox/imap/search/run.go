package search

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/emersion/go-imap/v2"

	"tenma/relay/mailbox"
)

// Run gives the numbers of the messages in v that q is true for, rising.
// Messages that are gone are true of nothing that needs them read. result is
// the saved result as UIDs, for queries that refer to it. Errors are those of
// ctx and of the disk.
//
// Beside the numbers, 4 octets each, it holds one message's header (256 KiB at
// most), its tree of parts and 64 KiB of its text. Of a message's header the
// first 256 KiB are searched.
func (q *Query) Run(ctx context.Context, v View, result imap.UIDSet) ([]uint32, error) {
	return q.among(ctx, v, result, nil)
}

// among is Run for a few of the messages, their numbers rising, or for all if few is
// nil.
func (q *Query) among(ctx context.Context, v View, result imap.UIDSet, few []uint32) ([]uint32, error) {
	r := run{
		query: q, view: v, now: time.Now(),
		spans: make([][]span, q.nodes+1),
		masks: make([]mailbox.Flags, q.nodes+1),
		read:  reader{query: q},
	}
	defer r.read.close()
	r.bind(q.root, result)
	if err := r.list(ctx, few); err != nil {
		return nil, err
	}
	if err := r.digests(ctx); err != nil {
		return nil, err
	}
	return r.found, nil
}

// truth is of a condition in a step: no, yes, or not known yet.
type truth uint8

const (
	no truth = iota
	yes
	open
)

// span is a range of sequence numbers, both ends included.
type span struct{ first, last int }

type run struct {
	query *Query
	view  View
	now   time.Time
	spans [][]span // of sets, by node.id
	masks []mailbox.Flags
	read  reader

	found []uint32
	left  []span // what the list could not tell, within found's order
	seq   int
	msg   *mailbox.Message
	err   error
}

// bind finds what the numbers and names in a query stand for in the folder.
func (r *run) bind(n *node, result imap.UIDSet) {
	for _, k := range n.kids {
		r.bind(k, result)
	}
	last := r.view.Len()
	switch n.kind {
	case seqSet:
		r.spans[n.id] = spans(n.set, uint32(last), func(a, b uint32) span { return span{int(a), min(int(b), last)} })
	case uidSet:
		r.spans[n.id] = r.uidSpans(n.set)
	case saved:
		set := make([]imap.SeqRange, len(result))
		for i, u := range result {
			set[i] = imap.SeqRange{Start: uint32(u.Start), Stop: uint32(u.Stop)}
		}
		r.spans[n.id] = r.uidSpans(set)
	case flagged:
		if r.masks[n.id] = n.flag; n.flag == 0 {
			r.masks[n.id] = r.view.Keyword(n.name)
		}
	}
}

func (r *run) uidSpans(set []imap.SeqRange) []span {
	last := uint32(0)
	if n := r.view.Len(); n > 0 {
		last = r.view.UID(n)
	}
	return spans(set, last, func(a, b uint32) span {
		end := r.view.Len()
		if b < last {
			end = r.view.SeqFrom(b+1) - 1
		}
		return span{r.view.SeqFrom(a), end}
	})
}

// spans puts the ranges of a set in order. 0 stands for the largest number.
func spans(set []imap.SeqRange, largest uint32, of func(a, b uint32) span) []span {
	var list []span
	for _, s := range set {
		a, b := s.Start, s.Stop
		if a == 0 {
			a = largest
		}
		if b == 0 {
			b = largest
		}
		if a > b {
			a, b = b, a
		}
		if sp := of(max(a, 1), b); sp.first <= sp.last {
			list = append(list, sp)
		}
	}
	slices.SortFunc(list, func(x, y span) int { return x.first - y.first })
	out := list[:0]
	for _, s := range list {
		if k := len(out) - 1; k >= 0 && s.first <= out[k].last+1 {
			out[k].last = max(out[k].last, s.last)
			continue
		}
		out = append(out, s)
	}
	return out
}

func contains(list []span, seq int) bool {
	i, ok := slices.BinarySearchFunc(list, seq, func(s span, seq int) int { return s.first - seq })
	return ok || i > 0 && seq <= list[i-1].last
}

// list is the first step, over all messages or, if they are not nil, a few.
func (r *run) list(ctx context.Context, few []uint32) error {
	n, gap := r.view.Len(), maxGap
	if few != nil {
		n, gap = len(few), 1 // others are not asked for
	}
	for i := 1; i <= n; i++ {
		if i%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		seq := i
		if few != nil {
			seq = int(few[i-1])
		}
		r.seq = seq
		switch r.eval(r.query.root, byList) {
		case yes:
			r.found = append(r.found, uint32(seq))
		case open:
			// Reading a few more messages in one run costs less than another run.
			if k := len(r.left) - 1; k >= 0 && seq-r.left[k].last <= gap {
				r.left[k].last = seq
			} else {
				r.left = append(r.left, span{seq, seq})
			}
		}
	}
	return nil
}

const maxGap = 16

// digests is the second step, and for each message whose case it leaves open
// the third and fourth.
func (r *run) digests(ctx context.Context) error {
	if len(r.left) == 0 {
		return nil
	}
	known := r.found
	r.found = make([]uint32, 0, len(known))
	for _, s := range r.left {
		err := r.view.Each(ctx, s.first, s.last, func(seq int, m *mailbox.Message) bool {
			r.seq, r.msg = seq, m
			t := r.eval(r.query.root, byDigest)
			if t == open {
				t = r.message(ctx)
			}
			if t == yes {
				r.found = append(r.found, uint32(seq))
			}
			return r.err == nil
		})
		r.msg = nil
		if r.err != nil {
			return r.err
		}
		if err != nil {
			return err
		}
	}
	if len(known) > 0 {
		// Those of the first step that lie in a run were found again.
		r.found = append(r.found, known...)
		slices.Sort(r.found)
		r.found = slices.Compact(r.found)
	}
	return ctx.Err()
}

// message opens a message for the steps that read it.
func (r *run) message(ctx context.Context) truth {
	defer r.read.close()
	if r.err = ctx.Err(); r.err != nil {
		return no
	}
	if err := r.read.open(r.view, r.seq); err != nil {
		if !errors.Is(err, mailbox.ErrExpunged) {
			r.err = err
		}
		return no
	}
	t := r.eval(r.query.root, byHeader)
	if t == open {
		if r.err = r.read.look(ctx); r.err != nil {
			return no
		}
		t = r.eval(r.query.root, byText)
	}
	return t
}

// eval gives the truth of a condition as far as the step knows.
func (r *run) eval(n *node, at stage) truth {
	switch n.kind {
	case all:
		t := yes
		for _, k := range n.kids {
			switch r.eval(k, at) {
			case no:
				return no
			case open:
				t = open
			}
		}
		return t
	case anyOf:
		t := no
		for _, k := range n.kids {
			switch r.eval(k, at) {
			case yes:
				return yes
			case open:
				t = open
			}
		}
		return t
	case not:
		switch r.eval(n.kids[0], at) {
		case yes:
			return no
		case no:
			return yes
		}
		return open
	case seqSet, uidSet, saved:
		return is(contains(r.spans[n.id], r.seq))
	case flagged:
		flags, _ := r.view.Flags(r.seq)
		return is(flags&r.masks[n.id] != 0)
	case recent:
		return is(r.view.Recent(r.seq))
	case modSeq:
		_, m := r.view.Flags(r.seq)
		return is(m >= n.n)
	case field:
		return r.field(n, at)
	case textSeek, bodySeek:
		if at < byText {
			return open
		}
		return is(r.read.text.found[n.seek])
	}
	if at < byDigest {
		return open
	}
	return r.kept(n)
}

func is(b bool) truth {
	if b {
		return yes
	}
	return no
}

// kept is of conditions on what is kept beside a message.
func (r *run) kept(n *node) truth {
	m := r.msg
	switch n.kind {
	case since:
		return is(calendarDay(m.Date) >= n.day)
	case before:
		return is(calendarDay(m.Date) < n.day)
	case savedSince:
		return is(calendarDay(m.Saved) >= n.day)
	case savedBefore:
		return is(calendarDay(m.Saved) < n.day)
	case younger: // RFC 5032 section 3
		const longest = uint64(math.MaxInt64 / time.Second) // 292 years
		return is(m.Date.After(r.now.Add(-time.Duration(min(n.n, longest)) * time.Second)))
	case larger:
		return is(m.Size > int64(n.n))
	case smaller:
		return is(m.Size < int64(n.n))
	case sentSince:
		return is(!m.Digest.Sent.IsZero() && calendarDay(m.Digest.Sent) >= n.day)
	case sentBefore:
		return is(!m.Digest.Sent.IsZero() && calendarDay(m.Digest.Sent) < n.day)
	}
	return no
}

// field looks into a header field: into the digest, which holds the start of
// some, and then into the header.
func (r *run) field(n *node, at stage) truth {
	if at < byDigest {
		return open
	}
	if at >= byHeader {
		return is(r.read.hasField(n.name, n.text))
	}
	d := &r.msg.Digest
	var value string
	switch n.name {
	case "from":
		value = d.From
	case "to":
		value = d.To
	case "cc":
		value = d.Cc
	case "subject":
		value = d.Subject
	case "message-id":
		value = d.MessageID
	case "in-reply-to":
		value = d.InReplyTo
	case "references":
		value = d.References
	default:
		return open
	}
	if value != "" && r.read.matches(n.name, value, n.text) {
		return yes
	}
	if d.Whole && n.name != "references" && !(value == "" && len(n.text) == 0) { // an empty field is one too
		return no
	}
	return open
}

// Sent is the time by which messages are sorted: of the Date field, or when it
// arrived here if there is none that can be read (RFC 5256 section 2.2).
func Sent(m *mailbox.Message) time.Time {
	if m.Digest.Sent.IsZero() {
		return m.Date
	}
	return m.Digest.Sent
}
