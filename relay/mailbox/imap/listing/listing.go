// Package listing answers LIST and LSUB: it reads what a client wants to see of its
// folders, and finds it (RFC 9051 section 6.3.9; RFC 5258, 5819 and 6154).
//
// Parse gives a Command, whose Find gives what is to be told, in order.
package listing

import (
	"slices"
	"strings"

	"tenma/relay/mailbox"
	wire "tenma/relay/wire/imap"
)

// Bounds of one LIST: its patterns are compared with every folder.
const (
	maxPatterns = 20
	maxPattern  = 1000 // octets, more than a name may have
)

// Command is a LIST or LSUB as it was given (RFC 9051 section 6.3.9; RFC 5258, 5819,
// 6154).
type Command struct {
	lsub     bool
	extended bool // it has options or several patterns
	patterns []string
	matched  map[string]bool // what matches has found: RECURSIVEMATCH asks for each folder many times

	// which: all, or only
	subscribed, recursive, specialUse bool
	// and tell
	tellSubscribed bool
	Status         []string // items of STATUS that are to be told of each
}

// Parse reads the arguments of LIST or LSUB. Its errors are the parser's.
func Parse(p *wire.Parser, lsub bool) (*Command, error) {
	l := &Command{lsub: lsub}
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

func (l *Command) selectOption(p *wire.Parser) {
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

func (l *Command) returnOption(p *wire.Parser) {
	switch word := p.Keyword(); word {
	case "SUBSCRIBED":
		l.tellSubscribed = true
	case "CHILDREN", "SPECIAL-USE": // always told
	case "STATUS":
		p.SP()
		l.Status = StatusItems(p)
	default:
		p.Fail("unknown LIST return option %.40s", word)
	}
}

// Separator reports that only the separator is asked for.
func (l *Command) Separator() bool {
	return !l.extended && len(l.patterns) == 1 && l.patterns[0] == ""
}

// Entry is one folder as it is listed.
type Entry struct {
	Name   string
	Attrs  []string
	Below  bool            // what was selected is below it (CHILDINFO)
	Folder *mailbox.Folder // nil for a level that only LSUB shows
}

// Find gives what is listed of the folders, which are in the order of their names.
// rev2 says that the client knows IMAP4rev2.
func (l *Command) Find(folders []mailbox.Folder, rev2 bool) []Entry {
	if l.lsub {
		return l.findSubscribed(folders)
	}
	var found []Entry
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
		attrs := Attributes(folders, f)
		if f.NoSelect && (l.extended || rev2) {
			attrs[0] = `\NonExistent` // it says more than \Noselect (RFC 9051 section 7.3.1)
		}
		if l.tellSubscribed && f.Subscribed {
			attrs = append(attrs, `\Subscribed`)
		}
		found = append(found, Entry{f.Name, attrs, below, f})
	}
	return found
}

// findSubscribed is LSUB (RFC 3501 section 6.3.9): a "%" finds the level above a
// subscribed folder too.
func (l *Command) findSubscribed(folders []mailbox.Folder) (found []Entry) {
	told := map[string]bool{}
	for i := range folders {
		f := &folders[i]
		if !f.Subscribed {
			continue
		}
		if l.matches(f.Name) {
			if !told[f.Name] {
				told[f.Name] = true
				found = append(found, Entry{Name: f.Name, Attrs: Attributes(folders, f), Folder: f})
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
				found = append(found, Entry{Name: name, Attrs: []string{`\Noselect`}})
			}
		}
	}
	return found
}

func subscribed(folders []mailbox.Folder, name string) bool {
	for i := range folders {
		if folders[i].Name == name {
			return folders[i].Subscribed
		}
	}
	return false
}

// Attributes are those of a folder that hold whatever was asked; \Noselect is the
// first, if it is among them.
func Attributes(folders []mailbox.Folder, f *mailbox.Folder) []string {
	var attrs []string
	if f.NoSelect {
		attrs = append(attrs, `\Noselect`)
	}
	if hasChildren(folders, f.Name) {
		attrs = append(attrs, `\HasChildren`)
	} else {
		attrs = append(attrs, `\HasNoChildren`)
	}
	if f.Use != mailbox.NoUse {
		attrs = append(attrs, string(f.Use))
	}
	return attrs
}

// hasChildren: folders that are there, not those that are only subscribed to.
func hasChildren(folders []mailbox.Folder, name string) bool {
	return anyBelow(folders, name, func(f *mailbox.Folder) bool { return !f.NoSelect })
}

// subscribedBelow: folders that are not listed themselves (RFC 9051 section
// 6.3.9.1).
func (l *Command) subscribedBelow(folders []mailbox.Folder, name string) bool {
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

func (l *Command) matches(name string) bool {
	if found, ok := l.matched[name]; ok {
		return found
	}
	if l.matched == nil {
		l.matched = map[string]bool{}
	}
	l.matched[name] = slices.ContainsFunc(l.patterns, func(p string) bool { return wire.Match(p, name) })
	return l.matched[name]
}

// StatusItems reads what STATUS asks for (RFC 9051 section 6.3.11).
func StatusItems(p *wire.Parser) []string {
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
