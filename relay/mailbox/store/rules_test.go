package store

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tenma/relay/mailbox/store/ledger"
	"tenma/spool"
)

func TestQuota(t *testing.T) {
	text := textOf(1)
	size := int64(len(text))
	limits := map[string]int64{ann: 3*size + 10, bob: 10}
	r := start(t, vfs.NewMem(), Options{Limit: func(a string) int64 { return limits[a] }})
	m := r.box(t, ann)
	put(t, m, "INBOX", text)
	put(t, m, "Sent", text)
	v := view(t, m, "INBOX")
	_, err := v.Copy(t.Context(), []int{1}, "Trash")
	must(t, err)
	_, _, err = m.Append(t.Context(), "INBOX", NewMessage{Size: size, Body: strings.NewReader(text)})
	if !errors.Is(err, ErrQuota) {
		t.Error(err)
	}
	if _, err := v.Copy(t.Context(), []int{1}, "Trash"); !errors.Is(err, ErrQuota) {
		t.Error(err)
	}
	if _, err := v.Move(t.Context(), []int{1}, "Archive"); err != nil {
		t.Error("moving takes no room:", err)
	}
	// One of three is full: the others get theirs.
	errs := r.send(t, 1, text, ann, "carl@b.test", bob)
	if !errors.Is(errs[0], ErrQuota) || errs[1] != nil || !errors.Is(errs[2], ErrQuota) {
		t.Error(errs)
	}
	must(t, r.Write(t.Context(), ann, "", []byte(text), true))
	if u := m.Usage(); u.Octets != 4*size || u.Messages != 4 || u.Limit != limits[ann] {
		t.Errorf("%+v", u)
	}
	for _, c := range []struct {
		account string
		size    int64
		want    error
	}{{ann, 1, ErrQuota}, {ann, 4 * size, ErrTooLarge}, {bob, 5, nil}, {"carl@b.test", 1 << 31, nil}, {"new@b.test", 1, nil}} {
		if err := r.Room(c.account, c.size); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if got := accounts(t, r.Store); !slices.Equal(got, []string{ann, bob, "carl@b.test"}) {
		t.Errorf("asking has made mailboxes: %v", got)
	}
	// When it is empty again, what was refused is taken, once.
	limits[bob] = 0
	for range 2 {
		if errs := r.send(t, 1, text, bob); errs[0] != nil {
			t.Error(errs)
		}
	}
	if u, err := r.Usage("Bob@b.test"); err != nil || u.Messages != 1 {
		t.Errorf("%+v, %v", u, err)
	}
}

func accounts(t *testing.T, s *Store) (all []string) {
	must(t, s.Accounts(func(a string) bool { all = append(all, a); return true }))
	return all
}

func TestFullDisk(t *testing.T) {
	full := false
	r := start(t, vfs.NewMem(), Options{MinFree: func() error {
		if full {
			return fmt.Errorf("%w: no", spool.ErrFull)
		}
		return nil
	}})
	m := r.box(t, ann)
	put(t, m, "INBOX", textOf(1))
	v := view(t, m, "INBOX")
	full = true
	_, _, err := m.Append(t.Context(), "INBOX", NewMessage{Body: strings.NewReader("")})
	_, err2 := v.Copy(t.Context(), []int{1}, "Trash")
	for _, err := range append(r.send(t, 1, textOf(1), ann), err, err2, r.Health()) {
		if !errors.Is(err, spool.ErrFull) {
			t.Error(err)
		}
	}
	_, err = v.Store(t.Context(), []int{1}, AddFlags, []string{`\Deleted`}, 0)
	must(t, err)
	must(t, v.Expunge(t.Context(), nil))
}

func TestRecent(t *testing.T) {
	fs := vfs.NewMem()
	r := start(t, fs, Options{})
	m := r.box(t, ann)
	put(t, m, "INBOX", textOf(1))
	looks, err := m.Select("INBOX", true)
	must(t, err)
	first := view(t, m, "INBOX")
	second := view(t, m, "INBOX")
	if !looks.Recent(1) || !first.Recent(1) || second.Recent(1) {
		t.Error("recent:", looks.Recent(1), first.Recent(1), second.Recent(1))
	}
	looks.Close()
	put(t, m, "INBOX", textOf(2))
	if f, _ := m.Folder("INBOX"); f.Recent != 1 {
		t.Errorf("%+v", f)
	}
	if a, b := second.Update(true), first.Update(true); a.Recent != 1 || b.Recent != 1 || !second.Recent(2) || first.Recent(2) {
		t.Error(a, b)
	}
	first.Close()
	second.Close()
	m.Close()
	must(t, r.stop())
	r = start(t, fs, Options{})
	if v := view(t, r.box(t, ann), "INBOX"); v.Recent(1) || v.Recent(2) {
		t.Error("recent again after a restart")
	}
}

func TestUnchangedSince(t *testing.T) {
	r := start(t, vfs.NewMem(), Options{})
	m := r.box(t, ann)
	put(t, m, "INBOX", textOf(1))
	put(t, m, "INBOX", textOf(2))
	v, other := view(t, m, "INBOX"), view(t, m, "INBOX")
	_, before := v.Flags(2)
	_, err := other.Store(t.Context(), []int{2}, AddFlags, []string{`\Flagged`}, 0)
	must(t, err)
	failed, err := v.Store(t.Context(), []int{1, 2}, AddFlags, []string{`\Seen`}, before)
	if err != nil || !slices.Equal(failed, []int{2}) {
		t.Error(failed, err)
	}
	// The other one's change is told even where our own is not.
	_, err = v.Store(t.Context(), []int{2}, AddFlags, []string{`\Seen`}, 0)
	must(t, err)
	if u := v.Update(true); !slices.Equal(u.Flags, []int{2}) {
		t.Errorf("%+v", u)
	}
	if _, err := v.Store(t.Context(), []int{1}, AddFlags, []string{"a b"}, 0); !errors.Is(err, ErrKeywords) {
		t.Error(err)
	}
}

// A name never gets an old UIDVALIDITY again.
func TestValidity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		r := start(t, fs, Options{})
		m := r.box(t, ann)
		seen := map[string]uint32{}
		look := func() {
			t.Helper()
			for _, n := range []string{"x", "y"} {
				f, err := m.Folder(n)
				if err != nil {
					continue
				}
				if f.UIDValidity < seen[n] {
					t.Errorf("%s had %d, has %d", n, seen[n], f.UIDValidity)
				}
				seen[n] = f.UIDValidity
			}
		}
		must(t, m.Create(t.Context(), "x", NoUse))
		look()
		old := seen["x"]
		must(t, m.Delete(t.Context(), "x"))
		must(t, m.Create(t.Context(), "x", NoUse))
		look()
		if seen["x"] == old {
			t.Error("a new folder has the UIDVALIDITY of an old one")
		}
		put(t, m, "x", textOf(1))
		must(t, m.Create(t.Context(), "y", NoUse))
		look()
		must(t, m.Delete(t.Context(), "y"))
		was := seen["y"]
		must(t, m.Rename(t.Context(), "x", "y"))
		look()
		if seen["y"] == was {
			t.Error("a renamed folder has the UIDVALIDITY of one that had its name")
		}
		if v := view(t, m, "y"); v.UID(1) != 1 {
			t.Error("UIDs have changed")
		}
		must(t, r.Remove(t.Context(), ann))
		m2 := r.box(t, ann)
		if f, _ := m2.Folder("INBOX"); f.UIDValidity <= seen["y"] {
			t.Error("an account that came back has old UIDVALIDITYs")
		}
	})
}

// What was begun and not ended leaves nothing behind.
func TestBodiesWithoutMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, vfs.NewMem(), Options{})
		m := r.box(t, ann)
		broken := errors.New("broken")
		many := strings.Repeat("0123456789abcdef", 100_000) + "\r\n"
		_, _, err := m.Append(t.Context(), "INBOX", NewMessage{Size: int64(len(many)) + 1, Body: io.MultiReader(strings.NewReader(many), failing{broken})})
		if !errors.Is(err, broken) {
			t.Error(err)
		}
		for _, size := range []int64{int64(len(many)) - 1, int64(len(many)) + 1, 0} {
			if _, _, err := m.Append(t.Context(), "INBOX", NewMessage{Size: size, Body: strings.NewReader(many)}); err == nil {
				t.Error("a size that is not true")
			}
		}
		time.Sleep(10 * time.Second)
		if n := count(r.Store, 'b') + count(r.Store, 'c'); n != 0 {
			t.Errorf("%d records of bodies are left", n)
		}
		// One that is being read stays whole.
		put(t, m, "INBOX", many)
		v := view(t, m, "INBOX")
		c, err := v.Open(1)
		must(t, err)
		must(t, v.Remove(t.Context(), []int{1}))
		time.Sleep(10 * time.Second)
		var b strings.Builder
		if _, err := c.WriteTo(&b); err != nil || b.String() != many {
			t.Error("a body went while it was read:", err)
		}
		must(t, c.Close())
		time.Sleep(10 * time.Second)
		if n := count(r.Store, 'b') + count(r.Store, 'c'); n != 0 {
			t.Errorf("%d records of bodies are left", n)
		}
	})
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestFoldersAreBounded(t *testing.T) {
	r := start(t, vfs.NewMem(), Options{Bounds: Bounds{Folders: 8, MessageSize: 10}})
	m := r.box(t, ann)
	if err := m.Create(t.Context(), "a/b/c", NoUse); !errors.Is(err, ErrFolders) {
		t.Error(err)
	}
	must(t, m.Create(t.Context(), "a/b", NoUse))
	for _, err := range []error{m.Create(t.Context(), "c", NoUse), m.Rename(t.Context(), "Junk", "x/y")} {
		if !errors.Is(err, ErrFolders) {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "a//b", "x\x00", strings.Repeat("x", 300)} {
		if err := m.Create(t.Context(), bad, NoUse); !errors.Is(err, ErrName) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if err := m.Rename(t.Context(), "a", "a/b/c"); !errors.Is(err, ErrName) {
		t.Error(err)
	}
	if err := m.Rename(t.Context(), "a", "a"); !errors.Is(err, ErrExists) {
		t.Error(err)
	}
	if _, _, err := m.Append(t.Context(), "INBOX", NewMessage{Size: 11, Body: strings.NewReader("")}); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
}

// A folder whose list was dropped from memory has it again, with what came
// meanwhile.
func TestListsAreDropped(t *testing.T) {
	r := start(t, vfs.NewMem(), Options{})
	m := r.box(t, ann)
	for n := range 3 {
		put(t, m, "INBOX", textOf(n))
	}
	v, err := m.Select("INBOX", false)
	must(t, err)
	f := v.f
	f.unload()
	if !f.loaded {
		t.Fatal("dropped while it is open")
	}
	v.Close()
	put(t, m, "INBOX", textOf(3)) // with the list
	r.useList(f)
	f.unload()
	if f.loaded {
		t.Fatal("not dropped")
	}
	put(t, m, "INBOX", textOf(4)) // without
	v = view(t, m, "INBOX")
	if v.Len() != 5 || textAt(t, v, 5) != textOf(4) {
		t.Error(v.Len())
	}
}

func TestPOP3(t *testing.T) {
	r := start(t, vfs.NewMem(), Options{})
	m, again := r.box(t, ann), r.box(t, ann)
	unlock, err := m.LockPOP3()
	must(t, err)
	if _, err := again.LockPOP3(); !errors.Is(err, ErrInUse) {
		t.Error(err)
	}
	unlock()
	if unlock, err = again.LockPOP3(); err != nil {
		t.Error(err)
	}
	unlock()
	for n := range 3 {
		put(t, m, "INBOX", textOf(n))
	}
	v := view(t, m, "INBOX")
	must(t, v.MarkRetrieved(t.Context(), []int{1, 3}))
	var marked []int
	var first time.Time
	must(t, v.EachRetrieved(t.Context(), func(seq int, at time.Time) bool { marked = append(marked, seq); first = at; return true }))
	if !slices.Equal(marked, []int{1, 3}) || time.Since(first) > time.Hour {
		t.Error(marked, first)
	}
	must(t, v.Remove(t.Context(), []int{1, 3}))
	if n := count(r.Store, 'p'); n != 0 {
		t.Errorf("%d marks are left", n)
	}
}

// What is not on stable storage yet, nobody sees: neither who has the folder open,
// nor who opens it now, nor in its figures.
func TestNothingIsSeenEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, vfs.NewMem(), Options{})
		m := r.box(t, ann)
		open := view(t, m, "INBOX")
		gate := make(chan bool)
		r.db.Submit(&ledger.Change{Build: func(*ledger.Batch) error { <-gate; return nil }})
		ended := make(chan bool)
		for _, folder := range []string{"INBOX", "Sent"} { // a list in memory, and none
			go func() { put(t, m, folder, textOf(1)); ended <- true }()
		}
		synctest.Wait()
		for _, folder := range []string{"INBOX", "Sent"} {
			f, err := m.Folder(folder)
			must(t, err)
			if now := view(t, m, folder); now.Len() != 0 || f.Messages != 0 || f.UIDNext != 1 {
				t.Errorf("%s shows what a crash could undo: %d, %+v", folder, now.Len(), f)
			}
		}
		if u := open.Update(true); u.Grown || open.Len() != 0 {
			t.Errorf("%+v", u)
		}
		if u := m.Usage(); u.Messages != 2 {
			t.Errorf("what is on its way does not count: %+v", u)
		}
		// One is durable, and the next not yet.
		r.db.Submit(&ledger.Change{Build: func(*ledger.Batch) error { <-gate; return nil }})
		go func() { put(t, m, "INBOX", textOf(2)); ended <- true }()
		synctest.Wait()
		gate <- true
		<-ended
		<-ended
		if u := open.Update(true); u.Len != 1 || view(t, m, "Sent").Len() != 1 || view(t, m, "INBOX").Len() != 1 {
			t.Errorf("%+v", u)
		}
		gate <- true
		<-ended
		if u := open.Update(true); u.Len != 2 {
			t.Errorf("%+v", u)
		}
	})
}
