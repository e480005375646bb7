package imap

import (
	"errors"
	"fmt"
	"slices"

	goimap "github.com/emersion/go-imap/v2"

	"tenma/relay/mailbox/imap/search"
	wire "tenma/relay/wire/imap"
)

// cmdSearch: RFC 9051 section 6.4.4.
func (s *session) cmdSearch(c *command) error {
	q, err := search.Parse(c.p.Rest())
	if err != nil {
		return searchError(err)
	}
	if s.context(c.tag) >= 0 && q.Update {
		return bad("CLIENTBUG", "A search of this tag is being updated") // RFC 5267 section 4.3
	}
	found, err := s.search(q)
	if err != nil {
		return err
	}
	if q.Extended || s.rev2() {
		s.writeESearch(c, q, found)
		s.openContext(c, q, found)
		return nil
	}
	s.writeFound("* SEARCH", found, c.uid)
	if q.Query.ModSeq() && len(found) > 0 { // RFC 7162 section 3.1.5
		s.out.Raw(" (MODSEQ ")
		s.out.Unsigned(s.highest(found))
		s.out.Raw(")")
	}
	s.out.Raw("\r\n")
	return nil
}

// cmdSort: RFC 5256 section 3; with RETURN, RFC 5267 section 3.
func (s *session) cmdSort(c *command) error {
	q, err := search.ParseSort(c.p.Rest())
	if err != nil {
		return searchError(err)
	}
	found, err := s.search(q)
	if err != nil {
		return err
	}
	if found, err = search.Sort(s.l.s.work, s.view, found, q.Sort); err != nil {
		return err
	}
	if q.Extended {
		s.writeESearch(c, q, found)
		s.openContext(c, q, found)
		return nil
	}
	s.writeFound("* SORT", found, c.uid)
	s.out.Raw("\r\n")
	return nil
}

// cmdThread: RFC 5256 section 3.
func (s *session) cmdThread(c *command) error {
	q, err := search.ParseThread(c.p.Rest())
	if err != nil {
		return searchError(err)
	}
	found, err := s.search(q)
	if err != nil {
		return err
	}
	threads, err := search.Threads(s.l.s.work, s.view, found, q.Thread)
	if err != nil {
		return err
	}
	s.out.Raw("* THREAD")
	if len(threads) > 0 {
		s.out.Raw(" ")
		s.out.Bytes(search.AppendThreads(nil, threads, func(seq uint32) uint32 { return s.name(seq, c.uid) }))
	}
	s.out.Raw("\r\n")
	return nil
}

func searchError(err error) error {
	switch {
	case errors.Is(err, search.ErrCharset):
		return no("BADCHARSET (US-ASCII UTF-8)", "Only US-ASCII and UTF-8 are known here")
	case errors.Is(err, search.ErrTooLarge):
		return no("LIMIT", "This asks for too much at once: "+err.Error())
	}
	return bad("CLIENTBUG", "Syntax: "+err.Error())
}

// search runs a query, and saves its result if that is asked (RFC 5182 section
// 2.1). A search that fails saves an empty one.
func (s *session) search(q *search.Command) ([]uint32, error) {
	if q.Query.ModSeq() {
		s.enableCondstore()
	}
	saved := s.saved
	if q.Return.ReturnSave {
		s.saved = nil
	}
	found, err := q.Query.Run(s.l.s.work, s.view, saved)
	if err != nil {
		return nil, err
	}
	if q.Return.ReturnSave && len(found) > 0 {
		s.saved = search.UIDs(s.view, meant(q, found)) // section 2.4
	}
	return found, nil
}

// meant are the messages found that the return options speak of, rising: all, or
// where only the first or the last, or a page, is told just that.
func meant(q *search.Command, found []uint32) []uint32 {
	o := q.Return
	if q.Page != (search.Page{}) && !o.ReturnCount {
		return q.Page.Of(found)
	}
	if o.ReturnAll || o.ReturnCount || !o.ReturnMin && !o.ReturnMax {
		return found
	}
	var ends []uint32
	if o.ReturnMin {
		ends = append(ends, found[0])
	}
	if last := found[len(found)-1]; o.ReturnMax && !slices.Contains(ends, last) {
		ends = append(ends, last)
	}
	return ends
}

// name is what a client knows a message by.
func (s *session) name(seq uint32, uid bool) uint32 {
	if uid {
		return s.view.UID(int(seq))
	}
	return seq
}

// named are the names of messages, in their order.
func (s *session) named(found []uint32, uid bool) []wire.Range {
	list := make([]uint32, len(found))
	for i, seq := range found {
		list[i] = s.name(seq, uid)
	}
	return wire.Ranges(list)
}

func (s *session) writeFound(head string, found []uint32, uid bool) {
	s.out.Raw(head)
	for _, seq := range found {
		s.out.Raw(" ")
		s.out.Number(int64(s.name(seq, uid)))
	}
}

func (s *session) highest(found []uint32) uint64 {
	var most uint64
	for _, seq := range found {
		_, m := s.view.Flags(int(seq))
		most = max(most, m)
	}
	return most
}

// writeESearch: RFC 9051 section 7.3.4. For SORT the smallest is the first and
// the largest the last (RFC 5267 section 3.1).
func (s *session) writeESearch(c *command, q *search.Command, found []uint32) {
	o := q.Return
	if page := q.Page != (search.Page{}); o.ReturnSave && !o.ReturnMin && !o.ReturnMax && !o.ReturnAll && !o.ReturnCount && !page && !q.Update {
		return // RFC 5182 section 2.1
	}
	w := s.out
	w.Raw("* ESEARCH (TAG ")
	w.String(c.tag)
	w.Raw(")")
	if c.uid {
		w.Raw(" UID")
	}
	if n := len(found); n > 0 {
		if o.ReturnMin {
			w.Raw(" MIN ")
			w.Number(int64(s.name(found[0], c.uid)))
		}
		if o.ReturnMax {
			w.Raw(" MAX ")
			w.Number(int64(s.name(found[n-1], c.uid)))
		}
		if o.ReturnAll {
			w.Raw(" ALL ")
			w.Set(s.named(found, c.uid))
		}
	}
	if p := q.Page; p != (search.Page{}) { // RFC 5267 section 4.4
		fmt.Fprintf(w, " PARTIAL (%d:%d ", p.First, p.Last) //nolint:errcheck // Flush tells
		if page := p.Of(found); len(page) > 0 {
			w.Set(s.named(page, c.uid))
		} else {
			w.Raw("NIL")
		}
		w.Raw(")")
	}
	if o.ReturnCount {
		w.Raw(" COUNT ")
		w.Number(int64(len(found)))
	}
	if q.Query.ModSeq() && len(found) > 0 { // RFC 7162 section 3.1.10
		w.Raw(" MODSEQ ")
		w.Unsigned(s.highest(meant(q, found)))
	}
	w.Raw("\r\n")
}

// uidRanges are the ranges of a saved result.
func uidRanges(set goimap.UIDSet) []wire.Range {
	list := make([]wire.Range, len(set))
	for i, r := range set {
		list[i] = wire.Range{First: uint32(r.Start), Last: uint32(r.Stop)}
	}
	return list
}
