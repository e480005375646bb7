package imap

import (
	"slices"
	"strings"

	goimap "github.com/emersion/go-imap/v2"

	"tenma/relay/mailbox"
	wire "tenma/relay/wire/imap"
)

// Bounds of one LIST: its patterns are compared with every folder.
const (
	maxPatterns = 20
	maxPattern  = 1000 // octets, more than a name may have
)

// listing is a LIST command (RFC 9051 section 6.3.9; RFC 5258, 5819, 6154).
type listing struct {
	lsub     bool
	extended bool // it has options or several patterns
	patterns []string

	// which: all, or only
	subscribed, recursive, specialUse bool
	// and tell
	tellSubscribed bool
	status         []string
}

func (s *session) parseList(p *wire.Parser, lsub bool) (*listing, error) {
	l := &listing{lsub: lsub}
	if !lsub && p.Peek() == '(' {
		l.extended = true
		p.MaybeList(func() { l.selectOption(p) })
		p.SP()
	}
	reference := p.Mailbox()
	p.SP()
	add := func() {
		l.patterns = append(l.patterns, reference+p.ListMailbox())
		if len(l.patterns) > maxPatterns || len(l.patterns[len(l.patterns)-1]) > maxPattern {
			p.Fail("at most %d patterns of %d octets", maxPatterns, maxPattern)
		}
	}
	if !lsub && p.Peek() == '(' {
		l.extended = true
		p.List(add)
	} else {
		add()
	}
	if !lsub && p.Take(' ') {
		l.extended = true
		if word := p.Keyword(); word != "RETURN" {
			p.Fail("expected RETURN, got %.40s", word)
		}
		p.SP()
		p.MaybeList(func() { l.returnOption(p) })
	}
	if l.recursive && !l.subscribed {
		p.Fail("RECURSIVEMATCH needs SUBSCRIBED") // RFC 9051 section 6.3.9.1
	}
	return l, p.End()
}

func (l *listing) selectOption(p *wire.Parser) {
	switch word := p.Keyword(); word {
	case "SUBSCRIBED":
		l.subscribed, l.tellSubscribed = true, true
	case "RECURSIVEMATCH":
		l.recursive = true
	case "SPECIAL-USE":
		l.specialUse = true
	case "REMOTE": // there are none
	default:
		p.Fail("unknown LIST selection option %.40s", word)
	}
}

func (l *listing) returnOption(p *wire.Parser) {
	switch word := p.Keyword(); word {
	case "SUBSCRIBED":
		l.tellSubscribed = true
	case "CHILDREN", "SPECIAL-USE": // always told
	case "STATUS":
		p.SP()
		l.status = statusItems(p)
	default:
		p.Fail("unknown LIST return option %.40s", word)
	}
}

func (s *session) cmdList(c *command) error { return s.list(c, false) }
func (s *session) cmdLSub(c *command) error { return s.list(c, true) }

func (s *session) list(c *command, lsub bool) error {
	l, err := s.parseList(c.p, lsub)
	if err != nil {
		return err
	}
	s.learn(l.status)
	if !l.extended && len(l.patterns) == 1 && l.patterns[0] == "" {
		// RFC 9051 section 6.3.9: asks for the separator.
		s.writeListed(lsub, []string{`\Noselect`}, "", false)
		return nil
	}
	folders := s.box.Folders()
	if lsub {
		s.listSubscribed(l, folders)
		return nil
	}
	for i := range folders {
		f := &folders[i]
		if !l.matches(f.Name) {
			continue
		}
		below := l.recursive && l.subscribedBelow(folders, f.Name)
		switch {
		case l.subscribed && !f.Subscribed && !below,
			l.specialUse && f.Use == mailbox.NoUse,
			!l.subscribed && f.NoSelect && !hasChildren(folders, f.Name): // only subscribed to
			continue
		}
		attrs := attributes(folders, f)
		if f.NoSelect && (l.extended || s.rev2()) {
			attrs[0] = goimap.MailboxAttrNonExistent // it says more than \Noselect (RFC 9051 section 7.3.1)
		}
		if l.tellSubscribed && f.Subscribed {
			attrs = append(attrs, goimap.MailboxAttrSubscribed)
		}
		s.writeListed(false, names(attrs), f.Name, below)
		if len(l.status) > 0 && !f.NoSelect {
			s.writeStatus(f, l.status)
		}
	}
	return nil
}

// listSubscribed is LSUB (RFC 3501 section 6.3.9): a "%" finds the level above a
// subscribed folder too.
func (s *session) listSubscribed(l *listing, folders []mailbox.Folder) {
	told := map[string]bool{}
	for i := range folders {
		f := &folders[i]
		if !f.Subscribed {
			continue
		}
		if l.matches(f.Name) {
			if !told[f.Name] {
				told[f.Name] = true
				s.writeListed(true, names(attributes(folders, f)), f.Name, false)
			}
			continue
		}
		if !strings.HasSuffix(l.patterns[0], "%") {
			continue
		}
		for name := f.Name; ; {
			cut := strings.LastIndexByte(name, mailbox.Separator)
			if cut < 0 {
				break
			}
			name = name[:cut]
			if l.matches(name) && !told[name] && !subscribed(folders, name) {
				told[name] = true
				s.writeListed(true, []string{`\Noselect`}, name, false)
			}
		}
	}
}

func subscribed(folders []mailbox.Folder, name string) bool {
	for i := range folders {
		if folders[i].Name == name {
			return folders[i].Subscribed
		}
	}
	return false
}

func (s *session) writeListed(lsub bool, attrs []string, name string, subscribedBelow bool) {
	w := s.out
	if lsub {
		w.Raw("* LSUB ")
	} else {
		w.Raw("* LIST ")
	}
	w.FlagList(attrs)
	w.Raw(` "` + string(rune(mailbox.Separator)) + `" `)
	w.Mailbox(name)
	if subscribedBelow {
		w.Raw(` (CHILDINFO ("SUBSCRIBED"))`)
	}
	w.Raw("\r\n")
}

// attributes are those of a folder that hold whatever was asked.
func attributes(folders []mailbox.Folder, f *mailbox.Folder) []goimap.MailboxAttr {
	var attrs []goimap.MailboxAttr
	if f.NoSelect {
		attrs = append(attrs, goimap.MailboxAttrNoSelect) // the first
	}
	if hasChildren(folders, f.Name) {
		attrs = append(attrs, goimap.MailboxAttrHasChildren)
	} else {
		attrs = append(attrs, goimap.MailboxAttrHasNoChildren)
	}
	if f.Use != mailbox.NoUse {
		attrs = append(attrs, goimap.MailboxAttr(f.Use))
	}
	return attrs
}

func names(attrs []goimap.MailboxAttr) []string {
	list := make([]string, len(attrs))
	for i, a := range attrs {
		list[i] = string(a)
	}
	return list
}

// hasChildren: folders that are there, not those that are only subscribed to.
func hasChildren(folders []mailbox.Folder, name string) bool {
	return anyBelow(folders, name, func(f *mailbox.Folder) bool { return !f.NoSelect })
}

// subscribedBelow: folders that are not listed themselves (RFC 9051 section
// 6.3.9.1).
func (l *listing) subscribedBelow(folders []mailbox.Folder, name string) bool {
	return anyBelow(folders, name, func(f *mailbox.Folder) bool { return f.Subscribed && !l.matches(f.Name) })
}

func anyBelow(folders []mailbox.Folder, name string, want func(*mailbox.Folder) bool) bool {
	for i := range folders {
		f := &folders[i]
		if len(f.Name) > len(name)+1 && f.Name[len(name)] == mailbox.Separator && f.Name[:len(name)] == name && want(f) {
			return true
		}
	}
	return false
}

func (l *listing) matches(name string) bool {
	for _, p := range l.patterns {
		if match(p, name) {
			return true
		}
	}
	return false
}

// match compares a name with a pattern, in which "*" stands for anything and "%"
// for anything within a level. It takes time in the product of the lengths at
// most, whatever the pattern. INBOX is compared in any case.
func match(pattern, name string) bool {
	inbox := name == "INBOX" || strings.HasPrefix(name, "INBOX/")
	// reached[i]: the pattern so far matches the first i octets.
	reached := make([]bool, len(name)+1)
	reached[0] = true
	for k := range len(pattern) {
		c := pattern[k]
		if c == '*' || c == '%' {
			for i := range len(name) {
				if reached[i] && (c == '*' || name[i] != mailbox.Separator) {
					reached[i+1] = true
				}
			}
			continue
		}
		some := false
		for i := len(name); i > 0; i-- {
			same := name[i-1] == c || inbox && i <= len("INBOX") && name[i-1]|0x20 == c|0x20
			reached[i] = reached[i-1] && same
			some = some || reached[i]
		}
		reached[0] = false
		if !some {
			return false
		}
	}
	return reached[len(name)]
}

// statusItems reads what STATUS asks for (RFC 9051 section 6.3.11).
func statusItems(p *wire.Parser) []string {
	var items []string
	p.List(func() {
		switch word := p.Keyword(); word {
		case "MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "DELETED", "SIZE", "APPENDLIMIT", "DELETED-STORAGE", "HIGHESTMODSEQ":
			items = append(items, word)
		default:
			p.Fail("unknown STATUS item %.40s", word)
		}
		if len(items) > maxPatterns {
			p.Fail("too many STATUS items")
		}
	})
	return items
}

func (s *session) cmdStatus(c *command) error {
	name := c.p.Mailbox()
	c.p.SP()
	items := statusItems(c.p)
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
