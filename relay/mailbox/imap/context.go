package imap

import (
	"slices"

	"tenma/relay/mailbox"
	"tenma/relay/mailbox/imap/search"
	wire "tenma/relay/wire/imap"
)

// searchContext is a search whose result the client wants to be kept up to date
// (RFC 5267 section 4.3), until the mailbox is closed or CANCELUPDATE.
type searchContext struct {
	*search.Standing
	tag string
	uid bool
}

// Bounds of what a session may have kept up to date, all its searches together.
const (
	maxContexts     = 8
	maxContextFound = 100_000 // 4 octets each
)

// context finds the one of a tag, -1 if there is none.
func (s *session) context(tag string) int {
	return slices.IndexFunc(s.contexts, func(x *searchContext) bool { return x.tag == tag })
}

// openContext begins to keep a result up to date, if that was asked for and can be
// done. It cannot for SORT, whose order would have to be told anew, nor where
// messages come to be found by the numbers of others or a saved result.
func (s *session) openContext(c *command, q *search.Command, found []uint32) {
	if !q.Update {
		return
	}
	held := len(found)
	for _, x := range s.contexts {
		held += x.Len()
	}
	switch x := q.Query.Stand(s.view, found); {
	case q.Sort != nil:
		s.noUpdate(c.tag, "Sorted results are not kept up to date")
	case x == nil:
		s.noUpdate(c.tag, "Searches by message number or saved result are not kept up to date")
	case len(s.contexts) >= maxContexts || held > maxContextFound:
		s.noUpdate(c.tag, "Too much to keep up to date")
	default:
		s.contexts = append(s.contexts, &searchContext{x, c.tag, c.uid})
	}
}

// noUpdate: RFC 5267 section 4.3.1.
func (s *session) noUpdate(tag, why string) {
	s.out.Raw("* NO [NOUPDATE ")
	s.out.String(tag)
	s.out.Raw("] " + why + "\r\n")
}

// touch notes messages whose flags the session has changed itself.
func (s *session) touch(seqs []int) {
	if len(s.contexts) == 0 {
		return
	}
	for _, n := range seqs {
		s.touched = append(s.touched, s.view.UID(n))
	}
}

// leaveContexts tells which messages that are gone were in a result. It comes
// before EXPUNGE, since the numbers are those of before (RFC 5267 section 4.3.3).
func (s *session) leaveContexts(u *mailbox.Update) {
	for _, x := range s.contexts {
		var gone []uint32
		for i, uid := range u.UIDs {
			if !x.Remove(uid) {
				continue
			}
			if !x.uid {
				uid = number(u.Expunged[i] + i)
			}
			gone = append(gone, uid)
		}
		s.writeContext(x, nil, gone)
	}
}

// updateContexts looks at what is new or has changed, and tells which of it came
// into a result or left it.
func (s *session) updateContexts(u *mailbox.Update) {
	if len(s.contexts) == 0 {
		return
	}
	var changed []uint32
	for _, n := range u.Flags {
		changed = append(changed, number(n))
	}
	for _, uid := range s.touched {
		if n, there := s.view.Seq(uid); there {
			changed = append(changed, number(n))
		}
	}
	s.touched = nil
	s.contexts = slices.DeleteFunc(s.contexts, func(x *searchContext) bool {
		in, out, err := x.Change(s.l.s.work, s.view, changed)
		switch {
		case err != nil:
			s.log().Warn("a search cannot be kept up to date", "error", err)
			s.noUpdate(x.tag, "The server has trouble with its disk or is stopping")
			return true
		case x.Len() > maxContextFound:
			s.noUpdate(x.tag, "Too much to keep up to date")
			return true
		}
		for i, seq := range in {
			in[i] = s.name(seq, x.uid)
		}
		for i, seq := range out {
			out[i] = s.name(seq, x.uid)
		}
		s.writeContext(x, in, out)
		return false
	})
}

// writeContext tells of a change. Position 0 says that the order is the mailbox's
// (RFC 5267 section 4.3.2).
func (s *session) writeContext(x *searchContext, in, out []uint32) {
	if len(in)+len(out) == 0 {
		return
	}
	w := s.out
	w.Raw("* ESEARCH (TAG ")
	w.String(x.tag)
	w.Raw(")")
	if x.uid {
		w.Raw(" UID")
	}
	for _, change := range []struct {
		name    string
		numbers []uint32
	}{{" REMOVEFROM (0 ", out}, {" ADDTO (0 ", in}} {
		if len(change.numbers) > 0 {
			w.Raw(change.name)
			w.Set(wire.Ranges(change.numbers))
			w.Raw(")")
		}
	}
	w.Raw("\r\n")
}

// cmdCancelUpdate: RFC 5267 section 4.3.5. That there is no such search any more is
// no error: it may have been the server that gave it up.
func (s *session) cmdCancelUpdate(c *command) error {
	tags := []string{c.p.String()}
	for c.p.Take(' ') {
		tags = append(tags, c.p.String())
	}
	if err := c.p.End(); err != nil {
		return err
	}
	s.contexts = slices.DeleteFunc(s.contexts, func(x *searchContext) bool { return slices.Contains(tags, x.tag) })
	return nil
}
