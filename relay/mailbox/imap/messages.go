package imap

import (
	"context"
	"fmt"
	"strings"

	"tenma/relay/mailbox"
	wire "tenma/relay/wire/imap"
)

// span is a run of message numbers, both ends included.
type span struct{ first, last int }

// spans gives the messages of the view that a set names. A number that no
// message has makes the command a wrong one (RFC 9051 section 9: seq-number); a
// UID that none has is nothing (section 6.4.9).
func (s *session) spans(set wire.Set, uid bool) ([]span, error) {
	v := s.view
	if set.Saved {
		return s.uidSpans(uidRanges(s.saved)), nil
	}
	if uid {
		return s.uidSpans(set.Clip(v.UID(v.Len()))), nil
	}
	if int64(set.Max()) > int64(v.Len()) {
		return nil, bad("CLIENTBUG", "There is no message of that number")
	}
	var list []span
	for _, r := range set.Clip(number(v.Len())) {
		list = append(list, span{int(r.First), int(r.Last)})
	}
	return list, nil
}

// uidSpans: the ranges are in order and below the highest UID.
func (s *session) uidSpans(ranges []wire.Range) []span {
	v := s.view
	var list []span
	for _, r := range ranges {
		first, last := v.SeqFrom(r.First), v.Len()
		if r.Last < v.UID(v.Len()) {
			last = v.SeqFrom(r.Last+1) - 1
		}
		if first > last {
			continue
		}
		if k := len(list); k > 0 && list[k-1].last+1 == first {
			list[k-1].last = last
			continue
		}
		list = append(list, span{first, last})
	}
	return list
}

func numbers(list []span) []int {
	var seqs []int
	for _, s := range list {
		for n := s.first; n <= s.last; n++ {
			seqs = append(seqs, n)
		}
	}
	return seqs
}

// numbered gives message numbers as the command spoke of them: as such or as
// UIDs.
func (s *session) numbered(seqs []int, uid bool) []wire.Range {
	list := make([]uint32, len(seqs))
	for i, n := range seqs {
		list[i] = number(n)
		if uid {
			list[i] = s.view.UID(n)
		}
	}
	return wire.Ranges(list)
}

// storing is a STORE command (RFC 9051 section 6.4.6; RFC 7162 section 3.1.3).
type storing struct {
	set       wire.Set
	op        mailbox.Op
	silent    bool
	flags     []string
	condition bool
	unchanged uint64
}

func parseStore(p *wire.Parser) (st storing, err error) {
	st.set = p.Set()
	p.SP()
	if p.Peek() == '(' {
		p.List(func() {
			if word := p.Keyword(); word != "UNCHANGEDSINCE" {
				p.Fail("unknown STORE modifier %.40s", word)
			}
			p.SP()
			st.condition, st.unchanged = true, uint64(p.Number64()) //nolint:gosec // not negative
		})
		p.SP()
	}
	switch {
	case p.Take('+'):
		st.op = mailbox.AddFlags
	case p.Take('-'):
		st.op = mailbox.DelFlags
	}
	item := p.Keyword()
	if item, st.silent = strings.CutSuffix(item, ".SILENT"); item != "FLAGS" {
		p.Fail("STORE changes FLAGS, not %.40s", item)
	}
	p.SP()
	st.flags = p.Flags()
	if err := p.End(); err != nil {
		return st, err
	}
	st.flags, err = settable(st.flags)
	return st, err
}

// cmdStore changes flags.
func (s *session) cmdStore(c *command) error {
	st, err := parseStore(c.p)
	if err != nil {
		return err
	}
	if s.view.ReadOnly() {
		return mailbox.ErrReadOnly
	}
	list, err := s.spans(st.set, c.uid)
	if err != nil {
		return err
	}
	if st.condition {
		s.enableCondstore()
	}
	seqs := numbers(list)
	if len(seqs) == 0 {
		return nil
	}
	failed := seqs
	if !st.condition || st.unchanged > 0 { // no message is unchanged since 0
		failed, err = s.view.Store(s.l.s.work, seqs, st.op, st.flags, st.unchanged)
		if err != nil {
			return err
		}
	}
	s.touch(seqs)
	s.tellKeywords() // a client shall know a keyword before a message has it
	bad := map[int]bool{}
	for _, n := range failed {
		bad[n] = true
	}
	for _, n := range seqs {
		if !bad[n] && (!st.silent || s.condstore) {
			s.writeState(n, c.uid, !st.silent)
		}
	}
	if len(failed) > 0 {
		c.done = ok("MODIFIED "+string(wire.AppendRanges(nil, s.numbered(failed, c.uid))), "Some messages have changed meanwhile")
	}
	return nil
}

// parseTarget reads a set and a mailbox, as COPY and MOVE have them.
func parseTarget(p *wire.Parser) (set wire.Set, name string, err error) {
	set = p.Set()
	p.SP()
	name = p.Mailbox()
	return set, name, p.End()
}

// transfer copies or moves the messages that a command names.
func (s *session) transfer(c *command, how func(context.Context, []int, string) (mailbox.Copied, error)) (mailbox.Copied, error) {
	set, name, err := parseTarget(c.p)
	if err != nil {
		return mailbox.Copied{}, err
	}
	list, err := s.spans(set, c.uid)
	if err != nil {
		return mailbox.Copied{}, err
	}
	seqs := numbers(list)
	if most := s.l.s.cfg.MaxTransfer; len(seqs) > most {
		return mailbox.Copied{}, no("LIMIT", fmt.Sprintf("At most %d messages at a time: name fewer", most))
	}
	if len(seqs) == 0 {
		if f, err := s.box.Folder(name); err != nil || f.NoSelect {
			return mailbox.Copied{}, s.tryCreate(mailbox.ErrNoFolder)
		}
		return mailbox.Copied{}, nil
	}
	copied, err := how(s.l.s.work, seqs, name)
	if err != nil {
		return mailbox.Copied{}, s.tryCreate(err)
	}
	return copied, nil
}

// copyUID is the response code that tells where messages went (RFC 9051 section
// 7.1, COPYUID).
func copyUID(c mailbox.Copied) string {
	b := fmt.Appendf(nil, "COPYUID %d ", c.UIDValidity)
	b = wire.AppendRanges(b, wire.Ranges(c.From))
	b = append(b, ' ')
	return string(wire.AppendRanges(b, wire.Ranges(c.To)))
}

// cmdCopy: RFC 9051 section 6.4.7.
func (s *session) cmdCopy(c *command) error {
	copied, err := s.transfer(c, s.view.Copy)
	if err != nil {
		return err
	}
	if len(copied.To) > 0 {
		c.done = ok(copyUID(copied), c.name+" completed")
	}
	return nil
}

// cmdMove: RFC 9051 section 6.4.8.
func (s *session) cmdMove(c *command) error {
	if s.view.ReadOnly() {
		return mailbox.ErrReadOnly
	}
	copied, err := s.transfer(c, s.view.Move)
	if err != nil {
		return err
	}
	if len(copied.To) > 0 {
		s.out.Raw("* OK [" + copyUID(copied) + "] Moved\r\n") // before the EXPUNGE responses
	}
	return nil
}

// cmdExpunge: RFC 9051 section 6.4.3, and section 6.4.9 for UID EXPUNGE.
func (s *session) cmdExpunge(c *command) error {
	var seqs []int
	if c.uid {
		set := c.p.Set()
		if err := c.p.End(); err != nil {
			return err
		}
		list, err := s.spans(set, true)
		if err != nil {
			return err
		}
		if seqs = numbers(list); len(seqs) == 0 {
			return nil
		}
	} else if err := c.p.End(); err != nil {
		return err
	}
	if s.view.ReadOnly() {
		return mailbox.ErrReadOnly
	}
	return s.view.Expunge(s.l.s.work, seqs)
}
