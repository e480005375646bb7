package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"tenma/relay/mailbox"
	"tenma/relay/wire/header"
)

// Options say how Import works.
type Options struct {
	// SkipDuplicates leaves out a message if its folder has one of the same
	// Message-ID and size already; one without Message-ID is never left out.
	SkipDuplicates bool
	MaxMessage     int64 // octets; a larger message is a problem; 0: no limit
	// Progress is told after each message; nil: nobody is.
	Progress func(folder string, r Result)
	// Problem is told of each message that could not be read, by file and
	// message. nil: the first one ends the import as its error.
	Problem func(error)
}

// Result counts messages.
type Result struct{ Done, Skipped, Failed int }

// message is one to be imported.
type message struct {
	where  string // file and message, for people
	date   time.Time
	flags  []string
	source source
}

// source gives the octets of a message as they lie in a file, each time from
// the start.
type source func() (io.ReadCloser, error)

// importer puts messages into the folders of one mailbox.
type importer struct {
	box    *mailbox.Mailbox
	o      Options
	result Result
	seen   map[string]map[identity]bool // by folder
}

// identity tells whether two messages are the same, near enough.
type identity struct {
	id   string
	size int64
}

// maxHead bounds what is kept of the header section of a message, in octets;
// state fields further down are not seen, and stay.
const maxHead = 256 << 10

// add imports one message.
func (im *importer) add(ctx context.Context, folder string, m message) error {
	err := im.try(ctx, folder, m)
	if err != nil {
		err = fmt.Errorf("%s: %w", m.where, err)
		if final(err) || ctx.Err() != nil || im.o.Problem == nil {
			return err
		}
		im.result.Failed++
		im.o.Problem(err)
	}
	if im.o.Progress != nil {
		im.o.Progress(folder, im.result)
	}
	return nil
}

// final reports an error that the next message would meet as well.
func final(err error) bool {
	for _, e := range []error{mailbox.ErrQuota, mailbox.ErrClosed, mailbox.ErrNoAccount, mailbox.ErrNoFolder} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (im *importer) try(ctx context.Context, folder string, m message) error {
	size, head, err := im.measure(m)
	if err != nil {
		return err
	}
	if im.o.MaxMessage > 0 && size > im.o.MaxMessage {
		return fmt.Errorf("%w: %d octets", mailbox.ErrTooLarge, size)
	}
	own := identity{strings.TrimSpace(header.Section(head).Text("Message-ID")), size}
	if im.o.SkipDuplicates && own.id != "" {
		known, err := im.known(ctx, folder)
		if err != nil {
			return err
		}
		if known[own] {
			im.result.Skipped++
			return nil
		}
		known[own] = true
	}
	r, err := m.source()
	if err != nil {
		return err
	}
	defer r.Close()
	if _, _, err := im.box.Append(ctx, folder, mailbox.NewMessage{Size: size, Body: newCRLF(r), Date: m.date, Flags: m.flags}); err != nil {
		return err
	}
	im.result.Done++
	return nil
}

// measure reads the message through: how large it will be, and its header.
func (im *importer) measure(m message) (size int64, head []byte, err error) {
	r, err := m.source()
	if err != nil {
		return 0, nil, err
	}
	defer r.Close()
	c := newCRLF(r)
	start, err := io.ReadAll(io.LimitReader(c, maxHead))
	if err != nil {
		return 0, nil, err
	}
	rest, err := io.Copy(io.Discard, c)
	size = int64(len(start)) + rest
	if end, _, ok := header.End(start, 0); ok {
		start = start[:end]
	}
	return size, start, err
}

// known gives what a folder holds, and what was put into it.
func (im *importer) known(ctx context.Context, folder string) (map[identity]bool, error) {
	if k := im.seen[folder]; k != nil {
		return k, nil
	}
	known := map[identity]bool{}
	view, err := im.box.Select(folder, true)
	if err != nil {
		return nil, err
	}
	defer view.Close()
	if err := view.Each(ctx, 1, view.Len(), func(_ int, m *mailbox.Message) bool {
		if m.Digest.MessageID != "" {
			known[identity{m.Digest.MessageID, m.Size}] = true
		}
		return true
	}); err != nil {
		return nil, err
	}
	if im.seen == nil {
		im.seen = map[string]map[identity]bool{}
	}
	im.seen[folder] = known
	return known, nil
}

// folder makes sure that a folder is there.
func (im *importer) folder(ctx context.Context, name string) error {
	f, err := im.box.Folder(name)
	if err == nil && !f.NoSelect {
		return nil
	}
	if err := im.box.Create(ctx, name, mailbox.NoUse); err != nil && !errors.Is(err, mailbox.ErrExists) {
		return fmt.Errorf("folder %q: %w", name, err)
	}
	return nil
}

// crlf gives what it reads with CRLF at each line's end, the last one's too: as the
// store keeps it, whose sizes tell what was imported before. A CR that ends no line
// stays.
type crlf struct {
	r    io.Reader
	in   [16 << 10]byte
	rest []byte // of in
	cr   bool   // the last octet given was CR
	lf   bool   // an LF is owed
	open bool   // the last line given has no end
	err  error
}

func newCRLF(r io.Reader) *crlf { return &crlf{r: r} }

func (c *crlf) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if c.lf {
			p[n], c.lf, c.cr, c.open = '\n', false, false, false
			n++
			continue
		}
		if len(c.rest) == 0 {
			if n > 0 {
				return n, nil
			}
			if c.err == io.EOF && c.open {
				if c.lf = true; !c.cr {
					p[n] = '\r'
					n++
				}
				continue
			}
			if c.err != nil {
				return 0, c.err
			}
			var k int
			k, c.err = c.r.Read(c.in[:])
			c.rest = c.in[:k]
			continue
		}
		i := bytes.IndexByte(c.rest, '\n')
		if i < 0 {
			i = len(c.rest)
		}
		if k := copy(p[n:], c.rest[:i]); k > 0 {
			n += k
			c.cr, c.open = c.rest[k-1] == '\r', true
			c.rest = c.rest[k:]
			continue
		}
		c.rest = c.rest[1:] // a line feed
		c.lf = true
		if !c.cr {
			p[n] = '\r'
			n++
		}
	}
	return n, nil
}

// flagsOf gives the flags of a message as text, \Recent and such not among
// them.
func flagsOf(v *mailbox.View, f mailbox.Flags) (system mailbox.Flags, keywords []string) {
	keywords = slices.Sorted(slices.Values(v.Names(f &^ mailbox.SystemFlags)))
	return f & mailbox.SystemFlags, keywords
}

// maxKeyword bounds a keyword that is read, in octets.
const maxKeyword = 100

// isKeyword reports a word that can be an IMAP keyword: an atom (RFC 9051
// section 9).
func isKeyword(s string) bool {
	return s != "" && len(s) <= maxKeyword && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune("(){%*\"\\]", r)
	})
}
