package imap

import (
	"slices"

	"tenma/relay/mailbox"
	"tenma/relay/mailbox/imap/listing"
)

func (s *session) cmdList(c *command) error { return s.list(c, false) }
func (s *session) cmdLSub(c *command) error { return s.list(c, true) }

func (s *session) list(c *command, lsub bool) error {
	l, err := listing.Parse(c.p, lsub)
	if err != nil {
		return err
	}
	s.learn(l.Status)
	if l.Separator() { // RFC 9051 section 6.3.9
		s.writeListed(lsub, &listing.Entry{Attrs: []string{`\Noselect`}})
		return nil
	}
	for _, e := range l.Find(s.box.Folders(), s.rev2()) {
		s.writeListed(lsub, &e)
		if len(l.Status) > 0 && !e.Folder.NoSelect {
			s.writeStatus(e.Folder, l.Status)
		}
	}
	return nil
}

func (s *session) writeListed(lsub bool, e *listing.Entry) {
	w := s.out
	if lsub {
		w.Raw("* LSUB ")
	} else {
		w.Raw("* LIST ")
	}
	w.FlagList(e.Attrs)
	w.Raw(` "` + string(rune(mailbox.Separator)) + `" `)
	w.Mailbox(e.Name)
	if e.Below {
		w.Raw(` (CHILDINFO ("SUBSCRIBED"))`)
	}
	w.Raw("\r\n")
}

func (s *session) cmdStatus(c *command) error {
	name := c.p.Mailbox()
	c.p.SP()
	items := listing.StatusItems(c.p)
	if err := c.p.End(); err != nil {
		return err
	}
	f, err := s.box.Folder(name)
	if err != nil {
		return err
	}
	if f.NoSelect {
		return mailbox.ErrNoFolder
	}
	s.learn(items)
	s.writeStatus(&f, items)
	return nil
}

// learn notes what a client shows to know by what it asks for (RFC 7162 section
// 3.1).
func (s *session) learn(items []string) {
	if slices.Contains(items, "HIGHESTMODSEQ") {
		s.enableCondstore()
	}
}

func (s *session) writeStatus(f *mailbox.Folder, items []string) {
	w := s.out
	w.Raw("* STATUS ")
	w.Mailbox(f.Name)
	w.Raw(" (")
	for i, it := range items {
		if i > 0 {
			w.Raw(" ")
		}
		w.Raw(it)
		w.Raw(" ")
		switch it {
		case "MESSAGES":
			w.Number(int64(f.Messages))
		case "RECENT":
			w.Number(int64(f.Recent))
		case "UIDNEXT":
			w.Number(int64(f.UIDNext))
		case "UIDVALIDITY":
			w.Number(int64(f.UIDValidity))
		case "UNSEEN":
			w.Number(int64(f.Unseen))
		case "DELETED":
			w.Number(int64(f.Deleted))
		case "SIZE":
			w.Number(f.Octets)
		case "DELETED-STORAGE":
			w.Number(f.DeletedSize)
		case "APPENDLIMIT":
			w.Number(int64(s.AppendLimit()))
		case "HIGHESTMODSEQ":
			w.Unsigned(f.ModSeq)
		}
	}
	w.Raw(")\r\n")
}
