package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"tenma/spool"
)

// step is one thing that people or mail do. It answers when it is durable.
type step struct {
	name string
	do   func(*teller) error
}

type teller struct {
	ctx  context.Context
	s    *Store
	box  *Mailbox
	view *View // of INBOX
}

func (w *teller) deliver(n byte, text string, accounts ...string) error {
	var to []*Destination
	for i, a := range accounts {
		to = append(to, &Destination{Account: a, Prefix: []byte("Delivered-To: " + a + "\r\n"), Recipient: uint32(i)})
	}
	return errors.Join(w.s.DeliverTo(w.ctx, idOf(n), to, int64(len(text)), func(out io.Writer) error {
		_, err := io.WriteString(out, text)
		return err
	})...)
}

func (w *teller) append(folder, text string, flags ...string) error {
	_, _, err := w.box.Append(w.ctx, folder, NewMessage{Size: int64(len(text)), Body: strings.NewReader(text), Flags: flags})
	return err
}

const bob = "bob@b.test"

var large = textOf(1) + strings.Repeat("All work and no play.\r\n", 30_000)

// larger is another, of several chunks too.
var larger = textOf(8) + strings.Repeat("All play and no work.\r\n", 12_500)

// story goes through all that changes a mailbox.
func story() []step {
	seqs := func(n ...int) []int { return n }
	return []step{
		{"open", func(w *teller) (err error) {
			if w.box, err = w.s.Mailbox(ann); err != nil {
				return err
			}
			w.view, err = w.box.Select("INBOX", false)
			return err
		}},
		{"deliver", func(w *teller) error { return w.deliver(1, textOf(1), ann) }},
		{"deliver to two", func(w *teller) error { return w.deliver(2, textOf(2), ann, bob) }},
		{"deliver again", func(w *teller) error { return w.deliver(2, textOf(2), ann, bob) }},
		{"append", func(w *teller) error { return w.append("INBOX", textOf(3), `\Seen`, "$Later") }},
		{"append large", func(w *teller) error { return w.append("INBOX", large) }},
		{"store", func(w *teller) error {
			w.view.Update(true)
			_, err := w.view.Store(w.ctx, seqs(1, 3), AddFlags, []string{`\Deleted`, "$New"}, 0)
			return err
		}},
		{"copy", func(w *teller) error { _, err := w.view.Copy(w.ctx, seqs(1, 2, 3, 4), "Archive"); return err }},
		{"expunge", func(w *teller) error { return w.view.Expunge(w.ctx, nil) }},
		{"move", func(w *teller) error {
			w.view.Update(true)
			_, err := w.view.Move(w.ctx, seqs(2), "Trash")
			return err
		}},
		{"later", func(*teller) error { time.Sleep(5 * time.Second); return nil }},
		{"deliver large to two", func(w *teller) error { return w.deliver(5, larger, ann, bob) }},
		{"append half", func(w *teller) error {
			_, _, err := w.box.Append(w.ctx, "INBOX", NewMessage{Size: int64(len(large)), Body: io.MultiReader(strings.NewReader(larger[:270_000]), iotest.ErrReader(io.ErrUnexpectedEOF))})
			if errors.Is(err, io.ErrUnexpectedEOF) {
				return nil // it was to break off
			}
			return errors.Join(err, w.s.Health())
		}},
		{"note", func(w *teller) error { return w.s.SetNote(w.ctx, ann, "v1", time.Unix(1_000_000, 0)) }},
		{"note of bob", func(w *teller) error { return w.s.SetNote(w.ctx, bob, "v1", time.Unix(2_000_000, 0)) }},
		{"level", func(w *teller) error { return w.s.SetLevel(w.ctx, ann, 90) }},
		{"forget notes", func(w *teller) error { return w.s.ForgetNotes(w.ctx, ann, time.Unix(1_500_000, 0)) }},
		{"create", func(w *teller) error { return w.box.Create(w.ctx, "a/b/c", NoUse) }},
		{"append there", func(w *teller) error { return w.append("a/b/c", textOf(5)) }},
		{"rename", func(w *teller) error { return w.box.Rename(w.ctx, "a/b", "z") }},
		{"delete with children", func(w *teller) error { return w.box.Delete(w.ctx, "z") }},
		{"unsubscribe", func(w *teller) error { return w.box.Subscribe(w.ctx, "Junk", false) }},
		{"delete", func(w *teller) error { return w.box.Delete(w.ctx, "z/c") }},
		{"retrieved", func(w *teller) error { w.view.Update(true); return w.view.MarkRetrieved(w.ctx, seqs(1)) }},
		{"rename inbox", func(w *teller) error { return w.box.Rename(w.ctx, "INBOX", "old") }},
		{"deliver anew", func(w *teller) error { return w.deliver(3, textOf(6), ann, bob) }},
		{"remove", func(w *teller) error { w.view.Update(true); return w.view.Remove(w.ctx, seqs(1)) }},
		{"delete large", func(w *teller) error { return w.box.Delete(w.ctx, "Trash") }},
		{"much later", func(*teller) error { time.Sleep(5 * time.Second); return nil }},
		{"remove an account", func(w *teller) error { return w.s.Remove(w.ctx, bob) }},
		{"and it comes back", func(w *teller) error { return w.deliver(4, textOf(7), bob) }},
		{"the end", func(*teller) error { time.Sleep(5 * time.Second); return nil }},
	}
}

// tell goes through the story. answered counts the steps, see sees each.
func tell(s *Store, steps []step, answered *atomic.Int64, see func()) error {
	w := &teller{ctx: context.Background(), s: s}
	defer func() {
		if w.view != nil {
			w.view.Close()
		}
		if w.box != nil {
			w.box.Close()
		}
	}()
	for _, st := range steps {
		if err := st.do(w); err != nil {
			return fmt.Errorf("%s: %w", st.name, err)
		}
		answered.Add(1)
		see()
	}
	return nil
}

// state is all that ann and bob can see.
func state(s *Store) (string, error) {
	a, err := dump(s, ann)
	b, err2 := dump(s, bob)
	return a + "---\n" + b, errors.Join(err, err2)
}

// worlds are the states after each step.
func worlds(t *testing.T) []string {
	s := start(t, vfs.NewMem(), Options{})
	first, err := state(s.Store)
	must(t, err)
	all := []string{first}
	var n atomic.Int64
	must(t, tell(s.Store, story(), &n, func() {
		now, err := state(s.Store)
		must(t, err)
		all = append(all, now)
	}))
	must(t, verify(s.Store))
	// All that was removed is gone: bodies of ann's and bob's messages are left.
	if bodies, refs := count(s.Store, 'c'), count(s.Store, 'x'); bodies+refs != 0 {
		t.Errorf("%d condemned bodies, %d removed folders left", bodies, refs)
	}
	must(t, s.stop())
	return all
}

// after opens what a crash left and looks at it: one of the worlds from..to, and
// all in order, also after the clearing up.
func after(t *testing.T, fs vfs.FS, all []string, from, to int) error {
	if err := verifyAsleep(fs); err != nil {
		return err
	}
	s := start(t, fs, Options{})
	now, err := state(s.Store)
	if err != nil {
		return err
	}
	found := false
	for i := from; i <= min(to, len(all)-1); i++ {
		found = found || all[i] == now
	}
	if !found {
		return fmt.Errorf("there is\n%s\nwant\n%s\nor\n%s", now, all[from], all[min(to, len(all)-1)])
	}
	if err := errors.Join(s.DeliverTo(context.Background(), spool.ID{9}, []*Destination{{Account: ann}}, 0, func(io.Writer) error { return nil })...); err != nil {
		return err
	}
	time.Sleep(5 * time.Second)
	if err := verify(s.Store); err != nil {
		return err
	}
	if n := count(s.Store, 'c') + count(s.Store, 'x'); n != 0 {
		return fmt.Errorf("%d condemned bodies and removed folders are left", n)
	}
	return s.stop()
}

func TestCrashEverywhere(t *testing.T) {
	for name, percent := range map[string]int{"power": 0, "torn": 50, "kill": 100} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				all := worlds(t)
				type crash struct {
					fs            *vfs.MemFS
					op            errorfs.Op
					before, after int
				}
				var crashes []crash
				mem := vfs.NewCrashableMem()
				rng := rand.New(rand.NewPCG(uint64(percent), 7))
				var answered atomic.Int64
				var mu sync.Mutex
				armed := false
				fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
					mu.Lock()
					defer mu.Unlock()
					if !armed || op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
						return nil
					}
					c := crash{op: op, before: int(answered.Load())}
					c.fs = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng})
					c.after = int(answered.Load())
					crashes = append(crashes, c)
					return nil
				}))
				s := start(t, fs, Options{MemTable: 256 << 10})
				mu.Lock()
				armed = true
				mu.Unlock()
				must(t, tell(s.Store, story(), &answered, func() {}))
				mu.Lock()
				armed = false
				mu.Unlock()
				must(t, s.stop())
				t.Logf("%d crash points", len(crashes))
				if len(crashes) < 50 {
					t.Fatal("the story hardly touches the disk")
				}
				for i := 0; i < len(crashes); i += every {
					c := crashes[i]
					if percent == 50 && every == 1 && i%6 != 0 {
						continue // Pebble takes its time over torn logs: it looks for flipped bits
					}
					if err := after(t, c.fs, all, c.before, c.after+1); err != nil {
						t.Fatalf("crash %d, before %v %s, after step %d (%s): %v", i, c.op.Kind, c.op.Path, c.before, story()[c.before].name, err)
					}
				}
			})
		})
	}
}

// TestFailEverywhere fails each write of the story in turn. It runs outside a
// bubble, since the fence parks goroutines for good; so nobody sleeps in it.
func TestFailEverywhere(t *testing.T) {
	var steps []step
	for _, st := range story() {
		if !strings.Contains(st.name, "later") && st.name != "the end" {
			steps = append(steps, st)
		}
	}
	var all []string
	synctest.Test(t, func(t *testing.T) {
		s := start(t, vfs.NewMem(), Options{})
		var n atomic.Int64
		first, _ := state(s.Store)
		all = append(all, first)
		must(t, tell(s.Store, steps, &n, func() {
			now, err := state(s.Store)
			must(t, err)
			all = append(all, now)
		}))
		must(t, s.stop())
	})
	sickened := 0
	for n := int64(0); ; n += every {
		var armed, hit atomic.Bool
		var ops atomic.Int64
		mem := vfs.NewCrashableMem()
		fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if armed.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && ops.Add(1) == n+1 {
				hit.Store(true)
				return syscall.EIO
			}
			return nil
		}))
		s, err := Open(Options{Dir: "/boxes", FS: fs, MemTable: 256 << 10})
		must(t, err)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		armed.Store(true)
		var answered atomic.Int64
		err = tell(s, steps, &answered, func() {})
		if err != nil && !errors.Is(err, spool.ErrSick) {
			t.Fatalf("operation %d: %v", n, err)
		}
		if err != nil {
			sickened++
			// What was on its way can be seen in the database, and so be gone.
			if _, err := state(s); err != nil && !errors.Is(err, spool.ErrSick) && !errors.Is(err, ErrExpunged) {
				t.Fatalf("operation %d: reading on: %v", n, err)
			}
			if !errors.Is(s.Health(), spool.ErrSick) {
				t.Errorf("operation %d: health is %v", n, s.Health())
			}
		}
		clones := []*vfs.MemFS{mem.CrashClone(vfs.CrashCloneCfg{}), mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})}
		from := int(answered.Load())
		cancel()
		if err2 := <-ended; err == nil && err2 == nil {
			if err := s.Close(); err != nil && !errors.Is(err, spool.ErrSick) {
				t.Error(err) // the operation that failed may have been one of Close's
			}
		}
		synctest.Test(t, func(t *testing.T) {
			for _, fs := range clones {
				if err := after(t, fs, all, from, from+1); err != nil {
					t.Fatalf("operation %d failed: %v", n, err)
				}
			}
		})
		if !hit.Load() {
			t.Logf("%d operations failed in turn, %d of them made the store sick", n, sickened)
			if sickened*every < 20 {
				t.Error("hardly any did")
			}
			return
		}
	}
}
