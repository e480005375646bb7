package fetch_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"tenma/relay/mailbox/imap/fetch"
	wire "tenma/relay/wire/imap"
)

// octets are a message's.
type octets interface {
	io.ReaderAt
	Size() int64
}

type source struct{ octets }

func (source) Close() error { return nil }

// show writes items of a message of which nothing is kept.
func show(src octets, to io.Writer, what string) error { return showKnown(nil, src, to, what) }

func showKnown(known fetch.Known, src octets, to io.Writer, what string) error {
	p := wire.NewParser(what)
	items, _ := p.Fetch()
	if err := p.End(); err != nil {
		return err
	}
	m := fetch.New(items)
	if err := m.Begin(known, func() (fetch.Source, error) { return source{src}, nil }, nil); err != nil {
		return err
	}
	defer m.End()
	w := wire.NewWriter(to)
	w.Raw("(")
	for i := range items {
		if i > 0 {
			w.Raw(" ")
		}
		if err := m.Write(w, &items[i]); err != nil && !errors.Is(err, fetch.ErrEncoding) {
			return err
		}
	}
	w.Raw(")")
	return w.Flush()
}

// wellFormed reads a list with its strings and literals to its end.
func wellFormed(b []byte) error {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth < 0 || depth == 0 && i != len(b)-1 {
				return fmt.Errorf("list ends at %d of %d", i, len(b))
			}
		case c == '"':
			for i++; i < len(b) && b[i] != '"'; i++ {
				switch {
				case b[i] == '\\':
					i++
				case b[i] == 0 || b[i] == '\r' || b[i] == '\n' || b[i] >= 0x80:
					return fmt.Errorf("octet %d in quotes at %d", b[i], i)
				}
			}
		case c == '{':
			end := bytes.Index(b[i:], []byte("}\r\n"))
			if end < 0 {
				return fmt.Errorf("no literal at %d", i)
			}
			n, err := strconv.Atoi(string(b[i+1 : i+end]))
			binary := i > 0 && b[i-1] == '~'
			if i += end + 3; err != nil || i+n > len(b) {
				return fmt.Errorf("literal of %d at %d, %w", n, i, err)
			}
			if !binary && bytes.IndexByte(b[i:i+n], 0) >= 0 {
				return fmt.Errorf("NUL in the literal at %d", i)
			}
			i += n - 1
		case c < ' ' || c >= 0x7f:
			return fmt.Errorf("octet %d at %d", c, i)
		}
	}
	if depth != 0 {
		return fmt.Errorf("%d lists are open", depth)
	}
	return nil
}

const everything = `(ENVELOPE BODYSTRUCTURE BODY BODY[] BODY[HEADER] BODY[TEXT] BODY[HEADER.FIELDS (From "x y")] BODY[HEADER.FIELDS.NOT (To)]<3.9> ` +
	`BODY[1] BODY[1.MIME] BODY[1.1] BODY[1.HEADER] BODY[2.TEXT]<0.5> BODY[1.1.1.HEADER.FIELDS (A)] BINARY[] BINARY[1] BINARY[2]<1.2> BINARY.SIZE[1] BINARY.SIZE[2.1] RFC822 RFC822.HEADER RFC822.TEXT)`

func TestHostile(t *testing.T) {
	for _, c := range []struct{ name, msg string }{
		{"nothing", ""},
		{"no header", "\r\n"},
		{"no body", "From: a@b\r\n"},
		{"bare line feeds", "From: a@b\nTo: c\n\nbody\n"},
		{"NUL", "From: \x00a@b\r\nSubject: \x00\r\n\x00: \x00\r\n\r\n\x00"},
		{"quotes", "Subject: \"\\\"\r\nFrom: \"\\\"\" <a\"b@c>\r\nContent-Type: text/plain; name=\"a\\\"b\r\n c\"\r\n\r\n"},
		{"10,000 levels", levels(10_000)},
		{"100,000 parts", "Content-Type: multipart/mixed; boundary=x\r\n\r\n" + strings.Repeat("--x\r\n\r\na\r\n", 100_000)},
		{"a million fields", strings.Repeat("A:\r\n", 1_000_000) + "\r\nx"},
		{"one long field", "Subject: " + strings.Repeat("x", 1_000_000) + "\r\n\r\n"},
		{"100,000 addresses", "To: " + strings.Repeat("a@b,", 100_000) + "\r\n\r\n"},
		{"messages in messages", strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 5_000)},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b bytes.Buffer
			if err := show(bytes.NewReader([]byte(c.msg)), &b, everything); err != nil {
				t.Fatal(err)
			}
			if err := wellFormed(b.Bytes()); err != nil {
				t.Errorf("%v in %.300q", err, b.Bytes())
			}
		})
	}
}

func levels(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n", i, i)
	}
	return b.String()
}

func FuzzMessage(f *testing.F) {
	for _, s := range []string{
		"From: a@b\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--x\r\nContent-Type: message/rfc822\r\n\r\nA: b\r\n\r\nc\r\n--x--\r\n",
		"To: a:b@c,d;\r\nDate: \x00\r\n\r\n=00", "Content-Transfer-Encoding: quoted-printable\r\n\r\n=00=\r\n", "\n\n", "A\r\n b",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		var b bytes.Buffer
		if err := show(bytes.NewReader(msg), &b, everything); err != nil {
			t.Fatal(err)
		}
		if err := wellFormed(b.Bytes()); err != nil {
			t.Errorf("%v in %q", err, b.Bytes())
		}
	})
}

// endless is a message of any size that nobody has in memory.
type endless int64

func (e endless) Size() int64 { return int64(e) }

func (e endless) ReadAt(p []byte, at int64) (int, error) {
	n := int(min(int64(len(p)), int64(e)-at))
	copy(p, bytes.Repeat([]byte{'x'}, n)) // it counts, as a store's own buffers would
	return n, nil
}

// A body is copied in pieces, whatever its size.
func TestFlatMemory(t *testing.T) {
	size := func(n int64) uint64 {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		if err := show(endless(n), io.Discard, "BODY[]"); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	// Of the source's own there are n octets; of ours no more than for a small one.
	const n = 64 << 20
	if got := size(n); got > n+n/8 {
		t.Errorf("%d octets for a message of %d", got, n)
	}
}

// What cannot be read is an error, not half a response that looks whole.
func TestBrokenSource(t *testing.T) {
	for _, what := range []string{"BODY[]", "BODYSTRUCTURE", "BODY[HEADER]", "BODY[TEXT]", "BINARY[1]", "BODY[HEADER.FIELDS (A)]"} {
		if err := show(broken{}, io.Discard, what); !errors.Is(err, errDisk) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

var errDisk = errors.New("disk")

type broken struct{}

func (broken) Size() int64                       { return 1000 }
func (broken) ReadAt([]byte, int64) (int, error) { return 0, errDisk }
