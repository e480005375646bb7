package imap

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"tenma/relay/mailbox"
	"tenma/relay/mailbox/imap/listing"
	"tenma/relay/mailbox/imap/literal8"
)

// Select opens a mailbox (RFC 9051 sections 6.3.2, 6.3.3).
func (s *session) Select(name string, options *goimap.SelectOptions) (*goimap.SelectData, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unselect()
	view, err := s.box.Select(name, options.ReadOnly)
	if err != nil {
		return nil, s.answer(err).library()
	}
	s.view, s.keywords = view, len(view.Keywords())
	f := view.Folder()
	data := &goimap.SelectData{
		Flags: flags(append(systemFlags(), view.Keywords()...)), PermanentFlags: flags(s.permanentFlags()),
		NumMessages: number(view.Len()), UIDNext: goimap.UID(f.UIDNext), UIDValidity: f.UIDValidity,
	}
	if s.rev2() {
		data.List = &goimap.ListData{Attrs: attributes(listing.Attributes(s.box.Folders(), &f)), Delim: mailbox.Separator, Mailbox: f.Name}
	} else {
		data.NumRecent, data.FirstUnseenSeqNum = number(view.Recents()), s.firstUnseen(&f)
	}
	// RFC 7162 section 3.1.2.1: told to all, whether or not they know it.
	s.out.Raw("* OK [HIGHESTMODSEQ ")
	s.out.Unsigned(f.ModSeq)
	s.out.Raw("] Highest\r\n")
	if err := s.out.Flush(); err != nil {
		return nil, err
	}
	return data, nil
}

// firstUnseen finds the first message without \Seen.
func (s *session) firstUnseen(f *mailbox.Folder) uint32 {
	for seq := 1; f.Unseen > 0 && seq <= s.view.Len(); seq++ {
		if flags, _ := s.view.Flags(seq); flags&mailbox.Seen == 0 {
			return number(seq)
		}
	}
	return 0
}

func number(n int) uint32 { return uint32(n) } //nolint:gosec // of messages in a view

func attributes(names []string) []goimap.MailboxAttr {
	list := make([]goimap.MailboxAttr, len(names))
	for i, n := range names {
		list[i] = goimap.MailboxAttr(n)
	}
	return list
}

func flags(names []string) []goimap.Flag {
	list := make([]goimap.Flag, len(names))
	for i, n := range names {
		list[i] = goimap.Flag(n)
	}
	return list
}

// Unselect closes the mailbox (RFC 9051 sections 6.4.1, 6.4.2).
func (s *session) Unselect() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unselect()
	return nil
}

// Expunge is what CLOSE does before, in silence (RFC 9051 section 6.4.1). The
// EXPUNGE command does not come here.
func (s *session) Expunge(*imapserver.ExpungeWriter, *goimap.UIDSet) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.view == nil || s.view.ReadOnly() {
		return nil
	}
	if err := s.view.Expunge(s.l.s.work, nil); err != nil {
		return s.answer(err).library()
	}
	return nil
}

// do runs what changes folders.
func (s *session) do(change func(*mailbox.Mailbox) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := change(s.box); err != nil {
		return s.answer(err).library()
	}
	return nil
}

// Create makes a folder (RFC 9051 section 6.3.4; RFC 6154 section 3).
func (s *session) Create(name string, options *goimap.CreateOptions) error {
	use := mailbox.NoUse
	for _, attr := range options.SpecialUse {
		if use != mailbox.NoUse || !isUse(mailbox.Use(attr)) {
			return no("USEATTR", "A mailbox has one use here: Archive, Drafts, Junk, Sent or Trash").library()
		}
		use = mailbox.Use(attr)
	}
	// A separator at the end says that mailboxes below it will follow.
	name = strings.TrimSuffix(name, string(mailbox.Separator))
	return s.do(func(b *mailbox.Mailbox) error { return b.Create(s.l.s.work, name, use) })
}

func isUse(u mailbox.Use) bool {
	switch u {
	case mailbox.Archive, mailbox.Drafts, mailbox.Junk, mailbox.Sent, mailbox.Trash:
		return true
	}
	return false
}

// Delete removes a folder (RFC 9051 section 6.3.5).
func (s *session) Delete(name string) error {
	return s.do(func(b *mailbox.Mailbox) error {
		if s.view != nil && s.view.Folder().Name == name && name != "INBOX" {
			s.unselect() // its own doing is no reason to end the session
		}
		return b.Delete(s.l.s.work, name)
	})
}

// Rename moves a folder (RFC 9051 section 6.3.6).
func (s *session) Rename(from, to string, _ *goimap.RenameOptions) error {
	to = strings.TrimSuffix(to, string(mailbox.Separator))
	return s.do(func(b *mailbox.Mailbox) error { return b.Rename(s.l.s.work, from, to) })
}

// Subscribe puts a folder on the list of those that a client shows (RFC 9051
// section 6.3.7).
func (s *session) Subscribe(name string) error {
	return s.do(func(b *mailbox.Mailbox) error { return b.Subscribe(s.l.s.work, name, true) })
}

// Unsubscribe takes it off.
func (s *session) Unsubscribe(name string) error {
	return s.do(func(b *mailbox.Mailbox) error { return b.Subscribe(s.l.s.work, name, false) })
}

// Namespace tells that there is one (RFC 9051 section 6.3.10).
func (s *session) Namespace() (*goimap.NamespaceData, error) {
	return &goimap.NamespaceData{Personal: []goimap.NamespaceDescriptor{{Delim: mailbox.Separator}}}, nil
}

// Append adds a message (RFC 9051 section 6.3.12). mu is not held while the
// client sends it.
func (s *session) Append(name string, r goimap.LiteralReader, options *goimap.AppendOptions) (*goimap.AppendData, error) {
	list := make([]string, 0, len(options.Flags))
	for _, f := range options.Flags {
		list = append(list, string(f))
	}
	list, err := settable(list)
	if err != nil {
		return nil, s.answer(err).library()
	}
	msg := mailbox.NewMessage{Size: r.Size(), Body: literal8.Plain(r), Date: options.Time, Flags: list}
	if s.literal8 {
		if r.Size() > literal8.MaxSize {
			return nil, no("TOOBIG", fmt.Sprintf("A binary message may have %d octets: send it encoded", literal8.MaxSize)).library()
		}
		text, err := io.ReadAll(r)
		if err == nil {
			text, err = literal8.Encode(text)
		}
		if err != nil {
			return nil, s.answer(err).library()
		}
		msg.Size, msg.Body = int64(len(text)), bytes.NewReader(text)
	}
	validity, uid, err := s.box.Append(s.l.s.work, name, msg)
	if err != nil {
		return nil, s.tryCreate(err).library()
	}
	s.l.s.deps.Metrics.Appends.Inc()
	s.appended++
	_, _ = io.Copy(io.Discard, r) // the store read it all: this lets the library see its end
	return &goimap.AppendData{UID: goimap.UID(uid), UIDValidity: validity}, nil
}

// settable checks flags that a client wants to give to a message. \Recent is
// the server's; it is left out, since old clients copy it with the others.
func settable(flags []string) ([]string, error) {
	out := flags[:0]
	for _, f := range flags {
		switch {
		case strings.EqualFold(f, `\Recent`):
			continue
		case strings.HasPrefix(f, `\`):
			known := false
			for _, sys := range systemFlags() {
				known = known || strings.EqualFold(f, sys)
			}
			if !known {
				return nil, bad("CLIENTBUG", "There is no flag "+f)
			}
		case len(f) > maxKeyword || !plainASCII(f):
			return nil, no("LIMIT", "A keyword is of printable ASCII and has 100 octets at most")
		}
		out = append(out, f)
	}
	return out, nil
}

// maxKeyword bounds the name of a keyword in octets; those in use have 30.
const maxKeyword = 100

func plainASCII(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}
