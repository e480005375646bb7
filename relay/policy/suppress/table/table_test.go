package table

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tenma/relay/policy/suppress"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

var now = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func open(t testing.TB, fs vfs.FS) *Table {
	t.Helper()
	tab, err := Open(Options{Dir: "list", FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tab.Close() })
	return tab
}

func key(t testing.TB, subject, tenant, campaign string) suppress.Key {
	t.Helper()
	a, err := suppress.ParseSubject(subject)
	if err != nil {
		t.Fatal(err)
	}
	k, err := suppress.NewKey(a, tenant, campaign)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func bounced(k suppress.Key) suppress.Entry {
	return suppress.Entry{Key: k, Reason: suppress.HardBounce, Rule: "unknown-user", Detail: "550 5.1.1 no such user", Message: "M1", Creator: "relay", Provider: "big.test", Created: now, Expires: now.Add(time.Hour)}
}

func update(t testing.TB, tab *Table, c suppress.Change) suppress.Done {
	t.Helper()
	if c.Now.IsZero() {
		c.Now = now
	}
	done, err := tab.Update(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func all(t testing.TB, tab *Table, isHeld bool) (subjects []string) {
	t.Helper()
	if err := tab.Scan(isHeld, suppress.Key{}, func(e *suppress.Entry) bool {
		subjects = append(subjects, e.Subject()+" "+e.Tenant+" "+e.Campaign)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return subjects
}

// An entry comes back as it was, from a database that was closed, too.
func TestRoundTrip(t *testing.T) {
	fs := vfs.NewMem()
	tab := open(t, fs)
	e := bounced(key(t, "Ann@A.test", "shop", "spring"))
	forever := suppress.Entry{Key: key(t, "b.test", "", ""), Reason: suppress.Manual, Creator: "me", Created: now}
	if done := update(t, tab, suppress.Change{Put: []suppress.Entry{e, forever}}); done.Added != 2 {
		t.Errorf("%+v", done)
	}
	for range 2 {
		for _, want := range []suppress.Entry{e, forever} {
			got, ok, err := tab.Get(want.Key)
			if err != nil || !ok {
				t.Fatalf("%v %v", ok, err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		}
		if c := tab.Counts(); c.Reason(suppress.HardBounce) != 1 || c.Reason(suppress.Manual) != 1 || c.Held() != 0 {
			t.Errorf("counts %v", c.Values())
		}
		if err := tab.Close(); err != nil {
			t.Fatal(err)
		}
		tab = open(t, fs)
	}
}

// Who gives way to whom.
func TestPut(t *testing.T) {
	k := key(t, "a@a.test", "", "")
	complaint := bounced(k)
	complaint.Reason = suppress.Complaint
	expired := bounced(k)
	expired.Expires = now
	for _, c := range []struct {
		what     string
		old, put suppress.Entry
		force    bool
		want     suppress.Done
		reason   suppress.Reason
	}{
		{"a second failure changes nothing", bounced(k), bounced(k), false, suppress.Done{Kept: 1}, suppress.HardBounce},
		{"a complaint weighs more", bounced(k), complaint, false, suppress.Done{Replaced: 1}, suppress.Complaint},
		{"a failure does not", complaint, bounced(k), false, suppress.Done{Kept: 1}, suppress.Complaint},
		{"an operator does", complaint, bounced(k), true, suppress.Done{Replaced: 1}, suppress.HardBounce},
		{"what expired makes way", expired, bounced(k), false, suppress.Done{Replaced: 1}, suppress.HardBounce},
	} {
		tab := open(t, vfs.NewMem())
		update(t, tab, suppress.Change{Put: []suppress.Entry{c.old}})
		done := update(t, tab, suppress.Change{Put: []suppress.Entry{c.put}, Force: c.force})
		e, ok, err := tab.Get(k)
		if done != c.want || err != nil || !ok || e.Reason != c.reason {
			t.Errorf("%s: %+v, %v %v %v", c.what, done, e.Reason, ok, err)
		}
		if n := len(indexed(t, tab)); n != map[bool]int{true: 2, false: 1}[e.Reason.Bounced()] {
			t.Errorf("%s: %d records in the indexes", c.what, n)
		}
	}
}

// indexed lists the keys of the indexes.
func indexed(t testing.TB, tab *Table) (keys []string) {
	t.Helper()
	for _, kind := range []byte{made, ends} {
		if err := tab.scan([]byte{kind}, []byte{kind + 1}, func(k, _ []byte) (bool, error) {
			keys = append(keys, string(k))
			return true, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return keys
}

// What goes leaves nothing behind, and only goes as it was when it was looked at.
func TestRemove(t *testing.T) {
	tab := open(t, vfs.NewMem())
	k := key(t, "a@a.test", "", "")
	e := bounced(k)
	update(t, tab, suppress.Change{Put: []suppress.Entry{e}})
	r := suppress.Removal{Key: k, If: now.Add(time.Second)}
	if done := update(t, tab, suppress.Change{Remove: []suppress.Removal{r}}); done.Removed != 0 {
		t.Error("another entry went")
	}
	if done := update(t, tab, suppress.Change{Remove: []suppress.Removal{{Key: k, Held: true}}}); done.Removed != 0 {
		t.Error("one that is not held went")
	}
	// One step moves it.
	e.Held = true
	done := update(t, tab, suppress.Change{Remove: []suppress.Removal{{Key: k, If: now}}, Put: []suppress.Entry{e}})
	if d := cmp.Diff(suppress.Done{Added: 1, Removed: 1}, done); d != "" {
		t.Error(d)
	}
	if _, ok, _ := tab.Get(k); ok || tab.Counts().Held() != 1 || tab.Counts().Reason(suppress.HardBounce) != 0 || len(all(t, tab, true)) != 1 {
		t.Errorf("in force %v, counts %v", ok, tab.Counts().Values())
	}
	update(t, tab, suppress.Change{Remove: []suppress.Removal{{Key: k, Held: true}}})
	if n := len(indexed(t, tab)); n != 0 {
		t.Errorf("%d records in the indexes", n)
	}
	for i, n := range tab.Counts().Values() {
		if n != 0 {
			t.Errorf("count %d is %d", i, n)
		}
	}
}

// Scans go in order and begin where they are told.
func TestScans(t *testing.T) {
	tab := open(t, vfs.NewMem())
	var put []suppress.Entry
	for i, s := range []string{"z@a.test", "a@b.test", "b.test", "a@a.test"} {
		e := bounced(key(t, s, "", ""))
		e.Created, e.Expires = now.Add(time.Duration(i)*time.Minute), now.Add(time.Duration(10-i)*time.Hour)
		put = append(put, e)
	}
	scoped := bounced(key(t, "a@a.test", "shop", ""))
	scoped.Reason = suppress.Unsubscribe
	update(t, tab, suppress.Change{Put: append(put, scoped)})
	if d := cmp.Diff([]string{"a@a.test  ", "a@a.test shop ", "z@a.test  ", "b.test  ", "a@b.test  "}, all(t, tab, false)); d != "" {
		t.Error(d)
	}
	subjects := func(scan func(fn func(*suppress.Entry) bool) error) (got []string) {
		if err := scan(func(e *suppress.Entry) bool { got = append(got, e.Subject()); return len(got) < 3 }); err != nil {
			t.Fatal(err)
		}
		return got
	}
	for _, c := range []struct {
		got, want []string
	}{
		{subjects(func(fn func(*suppress.Entry) bool) error { return tab.Scan(false, key(t, "b.test", "", ""), fn) }), []string{"b.test", "a@b.test"}},
		{subjects(func(fn func(*suppress.Entry) bool) error { return tab.Made(false, now.Add(time.Minute), fn) }), []string{"a@b.test", "b.test", "a@a.test"}},
		{subjects(func(fn func(*suppress.Entry) bool) error { return tab.Made(true, now, fn) }), nil},
		{subjects(func(fn func(*suppress.Entry) bool) error { return tab.Ended(now.Add(8*time.Hour), fn) }), []string{"a@a.test", "a@a.test", "b.test"}},
	} {
		if d := cmp.Diff(c.want, c.got, cmpopts.EquateEmpty()); d != "" {
			t.Error(d)
		}
	}
}

// What was acknowledged is there after a crash at any moment, a change is there as
// a whole or not at all, and the counts are right.
func TestCrash(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	mem := vfs.NewCrashableMem()
	var images []*vfs.MemFS
	acked := 0
	var at []int // of each image, changes acknowledged
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && r.IntN(4) == 0 {
			images = append(images, mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: r}))
			at = append(at, acked)
		}
		return nil
	}))
	tab := open(t, fs)
	const pairs = 30
	for i := range pairs {
		c := suppress.Change{Put: []suppress.Entry{bounced(key(t, fmt.Sprintf("a%d@a.test", i), "", "")), bounced(key(t, fmt.Sprintf("b%d@b.test", i), "t", ""))}}
		update(t, tab, c)
		acked++
	}
	if len(images) < pairs/4 {
		t.Fatalf("%d moments are no test", len(images))
	}
	for i, image := range images {
		found := 0
		after, err := Open(Options{Dir: "list", FS: image})
		if err != nil {
			t.Fatalf("image %d: %v", i, err)
		}
		for j := range pairs {
			_, a, _ := after.Get(key(t, fmt.Sprintf("a%d@a.test", j), "", ""))
			_, b, _ := after.Get(key(t, fmt.Sprintf("b%d@b.test", j), "t", ""))
			if a != b {
				t.Errorf("image %d: half of change %d", i, j)
			}
			if a {
				found++
			} else if j < at[i] {
				t.Errorf("image %d: change %d of %d is lost", i, j, at[i])
			}
		}
		if n := after.Counts().Reason(suppress.HardBounce); n != int64(2*found) {
			t.Errorf("image %d: counts %d of %d", i, n, 2*found)
		}
		_ = after.Close()
	}
}

// A disk that fails is told to who changes something; who asks is answered.
func TestSickDisk(t *testing.T) {
	broken := false
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken && op.Kind == errorfs.OpFileSyncData && filepath.Ext(op.Path) == ".log" {
			return errors.New("the disk is on fire")
		}
		return nil
	}))
	tab, err := Open(Options{Dir: "list", FS: fs, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	good, bad := bounced(key(t, "a@a.test", "", "")), bounced(key(t, "b@a.test", "", ""))
	update(t, tab, suppress.Change{Put: []suppress.Entry{good}})
	broken = true
	for range 2 {
		if _, err := tab.Update(context.Background(), suppress.Change{Put: []suppress.Entry{bad}, Now: now}); !errors.Is(err, spool.ErrSick) {
			t.Errorf("a change on a broken disk: %v", err)
		}
	}
	if _, ok, err := tab.Get(good.Key); !ok || err != nil {
		t.Errorf("lookup on a broken disk: %v %v", ok, err)
	}
	if !errors.Is(tab.Health(), spool.ErrSick) || tab.Counts().Reason(suppress.HardBounce) != 1 {
		t.Errorf("health %v, counts %v", tab.Health(), tab.Counts().Values())
	}
}

func TestClosed(t *testing.T) {
	tab := open(t, vfs.NewMem())
	if err := errors.Join(tab.Close(), tab.Close()); err != nil {
		t.Fatal(err)
	}
	_, _, errGet := tab.Get(key(t, "a@a.test", "", ""))
	_, errUpdate := tab.Update(t.Context(), suppress.Change{Put: []suppress.Entry{bounced(key(t, "a@a.test", "", ""))}})
	errScan := tab.Scan(false, suppress.Key{}, nil)
	for _, err := range []error{errGet, errUpdate, errScan} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%v", err)
		}
	}
}

// A damaged record is an error, never a panic and never another entry.
func FuzzEntry(f *testing.F) {
	e := bounced(suppress.Key{Local: "a", Domain: "a.test"})
	f.Add(appendEntry(nil, &e))
	f.Add([]byte{version, 1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		var e, again suppress.Entry
		if parseEntry(b, &e) != nil {
			return
		}
		if err := parseEntry(appendEntry(nil, &e), &again); err != nil || !cmp.Equal(e, again) {
			t.Errorf("%+v became %+v: %v", e, again, err)
		}
	})
}

// A lookup in a list of a million for who is not on it, and for who is.
func BenchmarkGet(b *testing.B) {
	tab, err := Open(Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	const many = 1_000_000
	start := time.Now()
	for i := 0; i < many; i += 1000 {
		var c suppress.Change
		for j := range 1000 {
			a := smtp.Address{Local: fmt.Sprintf("user%d", i+j), Domain: smtp.Domain(fmt.Sprintf("d%d.test", (i+j)%5000))}
			k, _ := suppress.NewKey(a, "", "")
			c.Put = append(c.Put, bounced(k))
		}
		if _, err := tab.Update(b.Context(), c); err != nil {
			b.Fatal(err)
		}
	}
	b.Logf("a million entries in %v", time.Since(start))
	for name, local := range map[string]string{"absent": "nobody", "present": "user"} {
		b.Run(name, func(b *testing.B) {
			for i := range b.N {
				n := i * 7919 % many
				k := suppress.Key{Local: fmt.Sprintf("%s%d", local, n), Domain: smtp.Domain(fmt.Sprintf("d%d.test", n%5000))}
				if _, ok, err := tab.Get(k); err != nil || ok != (local == "user") {
					b.Fatal(ok, err)
				}
			}
		})
	}
}
