package mailbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// accounts is a Resolver: what it does not name is a mailbox, "nobody" is none.
type accounts map[string][]string

func (r accounts) Resolve(a smtp.Address) []smtp.Address {
	to, ok := r[a.Local]
	if !ok && a.Local != "nobody" {
		return []smtp.Address{a}
	}
	var boxes []smtp.Address
	for _, local := range to {
		boxes = append(boxes, smtp.Address{Local: local, Domain: a.Domain})
	}
	return boxes
}

func (r accounts) Settings(smtp.Address) (mail.Settings, bool) { return mail.Settings{}, true }
func (r accounts) Accounts(func(smtp.Address) bool)            {}

type body struct{ *strings.Reader }

func (body) Close() error { return nil }

const text = "Subject: hello\r\n\r\n.\r\nDear \xff\r\n"

// attempt is the first to bring a message from news@shop.test to locals here.
func attempt(n byte, locals ...string) *mail.Attempt {
	now := time.Now()
	a := &mail.Attempt{
		ID: spool.NewID(now, [10]byte{n}), Number: 1, Header: []byte("Received: here\r\n"),
		Envelope: &mail.Envelope{Sender: smtp.Address{Local: "news", Domain: "shop.test"}, Received: now.Add(time.Second)},
		Open:     func(context.Context) (spool.Body, error) { return body{strings.NewReader(text)}, nil },
	}
	for i, l := range locals {
		a.Envelope.Recipients = append(a.Envelope.Recipients, mail.Recipient{Address: smtp.Address{Local: l, Domain: "b.test"}})
		a.To = append(a.To, i)
	}
	return a
}

// deliver gives the codes of one attempt's outcomes.
func deliver(t *testing.T, s *Store, a *mail.Attempt) (codes []int) {
	t.Helper()
	calls := 0
	s.Deliver(t.Context(), a, func() *mail.Attempt { return nil }, func(of *mail.Attempt, outcomes []mail.Outcome) {
		calls++
		if of != a || len(outcomes) != len(a.To) {
			t.Errorf("%d outcomes for %d recipients", len(outcomes), len(a.To))
		}
		for _, o := range outcomes {
			codes = append(codes, o.Reply.Code)
			if o.Command != "LOCAL" || o.Host != "" || strings.Contains(o.Reply.Text, "/") {
				t.Errorf("outcome %+v", o)
			}
		}
	})
	if calls != 1 {
		t.Errorf("done was called %d times", calls)
	}
	return codes
}

// files lists a directory of ann's Maildir.
func files(t *testing.T, fs vfs.FS, sub string) []string {
	t.Helper()
	names, err := fs.List("/mail/b.test/ann/" + sub)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return names
}

func read(t *testing.T, fs vfs.FS, path string) string {
	t.Helper()
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestDeliver(t *testing.T) {
	root := filepath.Join(t.TempDir(), "mail")
	s := New(Config{Dir: root, Hostname: "mx1.sender.test"}, Deps{Resolver: accounts{"office": {"ann", "bob"}}})
	if got := deliver(t, s, attempt(1, "Ann", "office", "nobody")); !slices.Equal(got, []int{250, 250, 550}) {
		t.Fatalf("replies %v", got)
	}
	for box, want := range map[string]int{"ann": 2, "bob": 1} {
		names, err := filepath.Glob(filepath.Join(root, "b.test", box, "new", "*"))
		if err != nil || len(names) != want {
			t.Fatalf("%s: %v, %v", box, names, err)
		}
		got, err := os.ReadFile(names[0])
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := bytes.Cut(got, []byte("\r\nDelivered-To: "))
		to, rest, _ := bytes.Cut(rest, []byte("\r\n"))
		if !bytes.HasPrefix(got, []byte("Return-Path: <news@shop.test>\r\n")) || !strings.EqualFold(string(to), box+"@b.test") || string(rest) != "Received: here\r\n"+text {
			t.Errorf("%s: %q", box, got)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(root, "*", "*", "tmp", "*")); len(left) != 0 {
		t.Errorf("left in tmp: %v", left)
	}
}

func TestTakesOnWhatNextGives(t *testing.T) {
	mem := vfs.NewMem()
	s := New(Config{Dir: "/mail"}, Deps{Resolver: accounts{}, FS: mem})
	ctx, stop := context.WithCancel(t.Context())
	given, done := 0, 0
	s.Deliver(ctx, attempt(0, "ann"), func() *mail.Attempt {
		if given++; given > 10 {
			return nil // or a store that never stops would hang the test
		}
		return attempt(byte(given), "ann")
	}, func(_ *mail.Attempt, o []mail.Outcome) {
		if o[0].Fate() != mail.Sent {
			t.Error(o[0])
		}
		if done++; done == 3 {
			stop()
		}
	})
	if done != 3 || given != 2 {
		t.Errorf("%d done, %d taken", done, given)
	}
	// A stopping relay finishes what it holds.
	s.Deliver(ctx, attempt(9, "ann"), func() *mail.Attempt { t.Error("took more"); return nil }, func(_ *mail.Attempt, o []mail.Outcome) {
		if o[0].Fate() != mail.Sent {
			t.Error(o[0])
		}
	})
}

// A second delivery of the same message finds the first: in new, and after a
// restart also in cur, where a reader moved it.
func TestRepeatDoesNotDouble(t *testing.T) {
	mem := vfs.NewMem()
	deps := Deps{Resolver: accounts{}, FS: mem}
	s := New(Config{Dir: "/mail"}, deps)
	a := attempt(1, "ann")
	for range 2 {
		if got := deliver(t, s, a); !slices.Equal(got, []int{250}) {
			t.Fatal(got)
		}
	}
	names := files(t, mem, "new")
	if len(names) != 1 {
		t.Fatalf("in new: %v", names)
	}
	if err := mem.Rename("/mail/b.test/ann/new/"+names[0], "/mail/b.test/ann/cur/"+names[0]+":2,S"); err != nil {
		t.Fatal(err)
	}
	a.Envelope.Received = time.Now().Add(-time.Minute)
	again := New(Config{Dir: "/mail"}, deps)
	if got := deliver(t, again, a); !slices.Equal(got, []int{250}) || len(files(t, mem, "new")) != 0 {
		t.Errorf("replies %v, in new: %v", got, files(t, mem, "new"))
	}
	if got := deliver(t, again, attempt(2, "ann")); !slices.Equal(got, []int{250}) || len(files(t, mem, "new")) != 1 {
		t.Errorf("another message: replies %v, in new: %v", got, files(t, mem, "new"))
	}
}

// Every file operation fails once: the sender is never told 250 for a message
// that a crash would lose, and the next try puts it there once.
func TestFailingDisk(t *testing.T) {
	for n := int32(0); ; n++ {
		mem := vfs.NewCrashableMem()
		point := errorfs.OnIndex(n)
		failed := false
		fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsRead {
				return nil
			}
			if point.MaybeError(op) != nil {
				failed = true
				return syscall.ENOSPC
			}
			return nil
		}))
		s := New(Config{Dir: "/mail"}, Deps{Resolver: accounts{}, FS: fs})
		a := attempt(1, "ann")
		got := deliver(t, s, a)
		want := 250
		if failed {
			want = 452
		}
		if got[0] != want {
			t.Errorf("operation %d: reply %d, want %d", n, got[0], want)
		}
		if got[0] != 250 {
			a.Number++
			if got = deliver(t, s, a); got[0] != 250 {
				t.Errorf("operation %d: the second try says %d", n, got[0])
			}
		}
		after := mem.CrashClone(vfs.CrashCloneCfg{})
		names := files(t, after, "new")
		if len(names) != 1 || !strings.HasSuffix(read(t, after, "/mail/b.test/ann/new/"+names[0]), text) {
			t.Fatalf("operation %d: after 250 and a crash there is %v", n, names)
		}
		if left := files(t, mem, "tmp"); len(left) > 1 {
			t.Errorf("operation %d: left in tmp: %v", n, left)
		}
		if !failed {
			if n < 10 {
				t.Errorf("only %d operations", n)
			}
			return
		}
	}
}

func TestOtherTroubleIs451(t *testing.T) {
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpCreate {
			return errors.New("broken at /dev/secret")
		}
		return nil
	}))
	if got := deliver(t, New(Config{Dir: "/mail"}, Deps{Resolver: accounts{}, FS: fs}), attempt(1, "ann")); got[0] != 451 {
		t.Errorf("reply %v", got)
	}
	a := attempt(1, "ann")
	a.Open = func(context.Context) (spool.Body, error) { return nil, spool.ErrNotFound }
	if got := deliver(t, New(Config{Dir: "/mail"}, Deps{Resolver: accounts{}, FS: vfs.NewMem()}), a); got[0] != 451 {
		t.Errorf("without a body: reply %v", got)
	}
}

// One mailbox of two is full: the other one gets no second copy.
func TestPartOfAnAlias(t *testing.T) {
	mem := vfs.NewMem()
	broken := true
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken && op.Kind == errorfs.OpCreate && strings.Contains(op.Path, "/bob/") {
			return syscall.ENOSPC
		}
		return nil
	}))
	s := New(Config{Dir: "/mail"}, Deps{Resolver: accounts{"office": {"ann", "bob"}}, FS: fs})
	a := attempt(1, "office")
	if got := deliver(t, s, a); got[0] != 452 {
		t.Errorf("reply %v", got)
	}
	broken = false
	a.Number++
	if got := deliver(t, s, a); got[0] != 250 || len(files(t, mem, "new")) != 1 {
		t.Errorf("reply %v, ann has %v", got, files(t, mem, "new"))
	}
}

func TestRemovedAccountComesBack(t *testing.T) {
	root := t.TempDir()
	s := New(Config{Dir: root}, Deps{Resolver: accounts{}})
	deliver(t, s, attempt(1, "ann"))
	if err := os.RemoveAll(filepath.Join(root, "b.test", "ann")); err != nil {
		t.Fatal(err)
	}
	first, second := deliver(t, s, attempt(2, "ann")), deliver(t, s, attempt(2, "ann"))
	if first[0] != 451 || second[0] != 250 {
		t.Errorf("replies %v, then %v", first, second)
	}
}

func TestDir(t *testing.T) {
	for in, want := range map[smtp.Address]string{
		{Local: "Ann.Lee+x", Domain: "b.test"}:   "b.test/ann.lee+x",
		{Local: "..", Domain: "b.test"}:          "b.test/%2E.",
		{Local: ".", Domain: ".."}:               "%2E./%2E",
		{Local: "../../etc", Domain: "b.test"}:   "b.test/%2E.%2F..%2Fetc",
		{Local: `a\b:c*`, Domain: "b.test"}:      "b.test/a%5Cb%3Ac%2A",
		{Local: "grün", Domain: "b.test"}:        "b.test/gr%C3%BCn",
		{Local: "a\x00b", Domain: "[192.0.2.1]"}: "%5B192.0.2.1%5D/a%00b",
		{Local: "%2e", Domain: "b.test"}:         "b.test/%252e",
	} {
		domain, local, err := Dir(in)
		if got := domain + "/" + local; err != nil || got != want {
			t.Errorf("%q: %s, %v; want %s", in.Local, got, err, want)
		}
	}
	for _, bad := range []smtp.Address{{}, {Local: "postmaster"}, {Domain: "b.test"}, {Local: strings.Repeat("ü", 64), Domain: "b.test"}} {
		if d, l, err := Dir(bad); err == nil {
			t.Errorf("%v lies at %s/%s", bad, d, l)
		}
	}
}

// FuzzDir: whatever an address holds, its Maildir lies two names below the
// store, and only addresses that differ in the case of letters share one.
func FuzzDir(f *testing.F) {
	f.Add("../x", "b.test", "..%2Fx")
	f.Add("\\..\\", "c:", "A")
	f.Fuzz(func(t *testing.T, local, domain, other string) {
		d, l, err := Dir(smtp.Address{Local: local, Domain: smtp.Domain(domain)})
		if err != nil {
			return
		}
		for _, name := range []string{d, l} {
			if name == "" || name[0] == '.' || len(name) > maxName || strings.ContainsAny(name, "/\\:\x00 \r\n") {
				t.Errorf("name %q", name)
			}
		}
		root := filepath.Join(string(filepath.Separator), "mail")
		if p := filepath.Join(root, d, l); p != root+fmt.Sprintf("%c%s%c%s", filepath.Separator, d, filepath.Separator, l) {
			t.Errorf("%q leads to %s", local, p)
		}
		lower := func(s string) string {
			return strings.Map(func(r rune) rune {
				if r >= 'A' && r <= 'Z' {
					return r + 'a' - 'A'
				}
				return r
			}, strings.ToValidUTF8(s, "\x00"))
		}
		if _, o, err := Dir(smtp.Address{Local: other, Domain: smtp.Domain(domain)}); err == nil && o == l && lower(other) != lower(local) {
			t.Errorf("%q and %q share %s", local, other, l)
		}
	})
}
