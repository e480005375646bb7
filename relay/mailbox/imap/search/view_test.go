package search

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"tenma/relay/mailbox"
	"tenma/relay/wire/header"
	"tenma/relay/wire/mime"
)

var _ View = (*mailbox.View)(nil)

// memory is a folder in memory, which counts what is read.
type memory struct {
	list     []message
	keywords []string
	reads    int // messages given by Each
	opens    int
	read     func() // called when a message is read, if not nil
	opened   func() // called when a message is opened, if not nil
}

type message struct {
	mailbox.Message
	recent bool
	gone   bool
	raw    []byte
}

// add puts a message into the folder; lines end with LF in text.
func (v *memory) add(text string) *message {
	raw := []byte(strings.ReplaceAll(text, "\n", "\r\n"))
	h, _ := header.Split(raw)
	s := mime.Summarize(h, mailbox.MaxDigest)
	n := len(v.list)
	v.list = append(v.list, message{raw: raw, Message: mailbox.Message{
		UID: uint32(n)*2 + 11, ModSeq: uint64(n) + 100, Size: int64(len(raw)), Date: time.Date(2024, 5, 1+n, 23, 30, 0, 0, time.FixedZone("", 7200)),
		Digest: mailbox.Digest{
			From: s.From, To: s.To, Cc: s.Cc, Subject: s.Subject, Sent: s.Sent,
			MessageID: s.MessageID, InReplyTo: s.InReplyTo, References: s.References, Whole: s.Whole,
		},
	}})
	return &v.list[n]
}

func (v *memory) Len() int { return len(v.list) }
func (v *memory) UID(seq int) uint32 {
	if seq < 1 || seq > len(v.list) {
		return 0
	}
	return v.list[seq-1].UID
}

func (v *memory) SeqFrom(uid uint32) int {
	return sort.Search(len(v.list), func(i int) bool { return v.list[i].UID >= uid }) + 1
}
func (v *memory) Recent(seq int) bool { return v.list[seq-1].recent }
func (v *memory) Flags(seq int) (mailbox.Flags, uint64) {
	return v.list[seq-1].Flags, v.list[seq-1].ModSeq
}

func (v *memory) Keyword(name string) mailbox.Flags {
	i := slices.IndexFunc(v.keywords, func(k string) bool { return strings.EqualFold(k, name) })
	if i < 0 {
		return 0
	}
	return 1 << (5 + i)
}

func (v *memory) Each(ctx context.Context, first, last int, fn func(int, *mailbox.Message) bool) error {
	for seq := first; seq <= last; seq++ {
		if seq%256 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if m := &v.list[seq-1]; !m.gone {
			v.reads++
			if !fn(seq, &m.Message) {
				break
			}
		}
	}
	return nil
}

type content struct {
	*bytes.Reader
	read func() // called when it is read, if not nil
}

func (content) Close() error { return nil }

func (c content) ReadAt(p []byte, at int64) (int, error) {
	if c.read != nil {
		c.read()
	}
	return c.Reader.ReadAt(p, at)
}

func (c content) WriteTo(w io.Writer) (int64, error) { return c.Reader.WriteTo(w) }

func (v *memory) Open(seq int) (mailbox.Content, error) {
	m := &v.list[seq-1]
	if m.gone {
		return nil, mailbox.ErrExpunged
	}
	v.opens++
	if v.opened != nil {
		v.opened()
	}
	return content{bytes.NewReader(m.raw), v.read}, nil
}

// search runs a command and gives what it found as text.
func search(t testing.TB, v View, args string) string {
	t.Helper()
	c, err := Parse(args)
	if err != nil {
		t.Fatalf("%s: %v", args, err)
	}
	found, err := c.Query.Run(context.Background(), v, imap.UIDSet{{Start: 13, Stop: 13}})
	if err != nil {
		t.Fatalf("%s: %v", args, err)
	}
	return strings.Trim(fmt.Sprint(found), "[]")
}
