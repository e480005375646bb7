package maillog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/klauspost/compress/zstd"

	"tenma/relay/mail"
)

const dir = "/log"

// disk is a crashable file system whose writes and syncs can be made to fail.
type disk struct {
	mem                   *vfs.MemFS
	writeError, syncError atomic.Pointer[error]
	syncs                 atomic.Int64
}

func newDisk() *disk { return &disk{mem: vfs.NewCrashableMem()} }

func (d *disk) fs() vfs.FS {
	return errorfs.Wrap(d.mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		var err *error
		switch op.Kind {
		case errorfs.OpFileWriteAt, errorfs.OpFileWrite:
			err = d.writeError.Load()
		case errorfs.OpFileSyncData:
			d.syncs.Add(1)
			err = d.syncError.Load()
		}
		if err != nil {
			return *err
		}
		return nil
	}))
}

func full(p *atomic.Pointer[error], on bool) {
	var err error = syscall.ENOSPC
	if on {
		p.Store(&err)
	} else {
		p.Store(nil)
	}
}

func open(t *testing.T, cfg Config) *Log {
	t.Helper()
	cfg.Dir = dir
	l, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// fact is an event that can be recognised in the log by n.
func fact(kind mail.EventKind, n int) *mail.Event {
	e := testEvent()
	e.Kind, e.Attempts = kind, n
	return e
}

// lines reads every record of the log, oldest first. Lines that are no JSON
// fail the test, except a last one without an end.
func lines(t *testing.T, fs vfs.FS) (attempts []int, files []string) {
	t.Helper()
	files, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(files, func(a, b string) int { // the open one is the youngest
		if (a == openName) != (b == openName) {
			return map[bool]int{true: 1, false: -1}[a == openName]
		}
		return strings.Compare(a, b)
	})
	for _, name := range files {
		for line := range bytes.Lines(read(t, fs, name)) {
			if line[len(line)-1] != '\n' {
				continue
			}
			var r struct {
				N int `json:"num_attempts"`
			}
			if err := json.Unmarshal(line, &r); err != nil {
				t.Errorf("%s: %v: %.100q", name, err, line)
			}
			attempts = append(attempts, r.N)
		}
	}
	return attempts, files
}

func read(t *testing.T, fs vfs.FS, name string) []byte {
	t.Helper()
	f, err := fs.Open(dir + "/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(name, sealedTail) {
		z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		r = z
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func count(n int) []int {
	var s []int
	for i := range n {
		s = append(s, i)
	}
	return s
}

// Promise 5: what Flush has answered nil for survives a crash at once after.
func TestFlushedRecordsSurviveACrash(t *testing.T) {
	d := newDisk()
	l := open(t, Config{FS: d.fs(), Sync: true, SegmentSize: 3000}) // a segment for every few records
	for n := range 20 {
		l.Record(fact(mail.EventDelivery, n))
		if n%2 == 1 {
			if err := l.Flush(); err != nil {
				t.Fatal(err)
			}
			got, _ := lines(t, d.mem.CrashClone(vfs.CrashCloneCfg{}))
			if !slices.Equal(got, count(n+1)) {
				t.Fatalf("after a crash behind record %d: %v", n, got)
			}
		}
	}
	if _, files := lines(t, d.mem); len(files) < 5 {
		t.Errorf("only these segments: %v", files)
	}
}

// Whatever a crash leaves of unsynced records, a new log opens on it, goes on,
// and its sealed form has whole records only.
func TestOpenAfterACrash(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 30 {
		d := newDisk()
		l := open(t, Config{FS: d.fs(), Sync: true})
		for n := range 10 {
			l.Record(fact(mail.EventDelivery, n))
		}
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		l.cfg.Sync = false // the next write is torn by the crash
		for n := range 20 {
			l.Record(fact(mail.EventDelivery, 10+n))
		}
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		after := d.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rng})

		again := open(t, Config{FS: after, Sync: true})
		again.Record(fact(mail.EventDelivery, 100))
		if err := again.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := again.tidy(t.Context()); err != nil {
			t.Fatal(err)
		}
		got, files := lines(t, after)
		if len(got) < 11 || !slices.Equal(got[:10], count(10)) || got[len(got)-1] != 100 || !slices.IsSorted(got) {
			t.Fatalf("records %v in %v", got, files)
		}
	}
}

func TestTornLineIsLeftOut(t *testing.T) {
	mem := vfs.NewMem()
	l := open(t, Config{FS: mem})
	l.Record(fact(mail.EventDelivery, 0))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	whole := read(t, mem, openName)
	for _, torn := range []string{`{"type":"Deliv`, "\x00\x00\x00", "{\x00}\n"} {
		mem := vfs.NewMem()
		if err := mem.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		f, err := mem.Create(dir+"/"+openName, writeCategory)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(append(slices.Clone(whole), torn...)); err != nil {
			t.Fatal(err)
		}
		f.Close()
		l := open(t, Config{FS: mem})
		l.Record(fact(mail.EventDelivery, 1))
		if err := errors.Join(l.Flush(), l.tidy(t.Context()), l.Close()); err != nil {
			t.Fatal(err)
		}
		got, files := lines(t, mem)
		if !slices.Equal(got, count(2)) || len(files) != 2 || !strings.HasSuffix(files[0], sealedTail) {
			t.Errorf("after %q: records %v in %v", torn, got, files)
		}
	}
}

func TestWholeSegmentIsContinued(t *testing.T) {
	mem := vfs.NewMem()
	for n := range 3 {
		l := open(t, Config{FS: mem})
		l.Record(fact(mail.EventDelivery, n))
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got, files := lines(t, mem); !slices.Equal(got, count(3)) || len(files) != 1 {
		t.Errorf("records %v in %v", got, files)
	}
}

// A full disk loses nothing: Flush says no until it can say yes, and then each
// record is there once and in order.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		l := open(t, Config{FS: d.fs(), Sync: true})
		for n := range 10 {
			full(&d.writeError, n >= 3 && n < 8)
			l.Record(fact(mail.EventDelivery, n))
			err := l.Flush()
			if bad := n >= 3 && n < 8; bad != errors.Is(err, syscall.ENOSPC) || bad != (l.Health() != nil) {
				t.Errorf("record %d: flush %v, health %v", n, err, l.Health())
			}
			time.Sleep(retryDelay)
		}
		got, files := lines(t, d.mem.CrashClone(vfs.CrashCloneCfg{}))
		if !slices.Equal(got, count(10)) || len(files) != 1 {
			t.Errorf("records %v in %v", got, files)
		}
	})
}

// After a failed sync nobody knows what is on disk: the records go to a new
// segment, as a sync that succeeds later proves nothing about the old one.
func TestFailedSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		l := open(t, Config{FS: d.fs(), Sync: true})
		l.Record(fact(mail.EventDelivery, 0))
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		full(&d.syncError, true)
		l.Record(fact(mail.EventDelivery, 1))
		if err := l.Flush(); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("flush: %v", err)
		}
		full(&d.syncError, false)
		if err := l.Flush(); err == nil {
			t.Error("a second try at once, no pause")
		}
		time.Sleep(retryDelay)
		if err := l.Flush(); err != nil {
			t.Error(err)
		}
		after := d.mem.CrashClone(vfs.CrashCloneCfg{})
		got, files := lines(t, after)
		if len(files) != 2 || !slices.Contains(got, 0) || !strings.Contains(string(read(t, after, openName)), `"num_attempts":1,`) {
			t.Errorf("records %v in %v", got, files)
		}
	})
}

// When memory runs out too, what decides nothing goes first; when a final
// event is lost, Flush never says yes again.
func TestOverflow(t *testing.T) {
	d := newDisk()
	l := open(t, Config{FS: d.fs(), Buffer: 20_000})
	full(&d.writeError, true)
	for range 100 {
		l.Record(fact(mail.EventTransientFailure, 1))
	}
	s := l.Stats()
	if s.Dropped == 0 || s.Waiting > 20_000 {
		t.Fatalf("%+v", s)
	}
	finals := 0
	for ; l.Stats().Dropped == s.Dropped; finals++ {
		if l.Health() != nil {
			t.Fatal("lost before it was")
		}
		l.Record(fact(mail.EventBounce, 2))
	}
	if finals < 30 || l.Stats().Waiting > 80_000 {
		t.Errorf("%d final events were kept, %+v", finals, l.Stats())
	}
	full(&d.writeError, false)
	if err := l.Flush(); !errors.Is(err, ErrLost) {
		t.Errorf("flush: %v", err)
	}
	if got, _ := lines(t, d.mem); len(got) != int(s.Records)+finals-1 {
		t.Errorf("%d records are written, %d were kept", len(got), int(s.Records)+finals-1)
	}
	l.Record(fact(mail.EventBounce, 3))
	if err := l.Flush(); !errors.Is(err, ErrLost) {
		t.Errorf("flush: %v", err)
	}
}

func TestFlushersShareASync(t *testing.T) {
	d := newDisk()
	l := open(t, Config{FS: d.fs(), Sync: true})
	const n = 30
	l.io.Lock() // someone writes
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			l.Record(fact(mail.EventDelivery, i))
			if err := l.Flush(); err != nil {
				t.Error(err)
			}
		})
	}
	for l.Stats().Records < n {
		runtime.Gosched()
	}
	l.io.Unlock()
	all.Wait()
	if s := d.syncs.Load(); s != 1 {
		t.Errorf("%d flushes took %d syncs", n, s)
	}
	if got, _ := lines(t, d.mem); len(got) != n {
		t.Errorf("%d records", len(got))
	}
}

// Thirty days in a moment: Run writes within a fifth of a second, seals by age
// and size, deletes by age, and costs nothing while nothing happens.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		l := open(t, Config{FS: mem, SegmentSize: 4000, Retain: 7 * 24 * time.Hour})
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error)
		go func() { ran <- l.Run(ctx) }()

		l.Record(fact(mail.EventDelivery, 0))
		time.Sleep(writeDelay)
		synctest.Wait()
		if got, _ := lines(t, mem); !slices.Equal(got, count(1)) {
			t.Fatalf("after the delay: %v", got)
		}
		time.Sleep(defaultSegmentAge + time.Second)
		synctest.Wait()
		if _, files := lines(t, mem); len(files) != 1 || !strings.HasSuffix(files[0], sealedTail) {
			t.Errorf("after a day: %v", files)
		}
		for n := range 20 {
			l.Record(fact(mail.EventDelivery, n+1))
			time.Sleep(time.Hour)
		}
		synctest.Wait()
		if got, files := lines(t, mem); !slices.Equal(got, count(21)) || len(files) < 4 {
			t.Errorf("records %v in %v", got, files)
		}
		time.Sleep(30 * 24 * time.Hour)
		synctest.Wait()
		if got, files := lines(t, mem); len(files) != 0 {
			t.Errorf("after their time: records %v in %v", got, files)
		}
		l.Record(fact(mail.EventDelivery, 99))
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		if got, _ := lines(t, mem); !slices.Equal(got, []int{99}) {
			t.Errorf("after the end: %v", got)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Run tries again by itself when the disk has room again.
func TestRunRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		l := open(t, Config{FS: d.fs()})
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error)
		go func() { ran <- l.Run(ctx) }()
		full(&d.writeError, true)
		l.Record(fact(mail.EventDelivery, 0))
		time.Sleep(10 * time.Second)
		if l.Health() == nil {
			t.Error("no error")
		}
		full(&d.writeError, false)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got, _ := lines(t, d.mem); !slices.Equal(got, count(1)) || l.Health() != nil {
			t.Errorf("records %v, %v", got, l.Health())
		}
		cancel()
		<-ran
	})
}

// A crash inside sealing leaves a segment whole, once.
func TestSealingIsRepeatable(t *testing.T) {
	for fail := int32(0); ; fail++ {
		mem := vfs.NewMem()
		point := errorfs.OnIndex(fail)
		sealing := false
		fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if sealing && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
				return point.MaybeError(op)
			}
			return nil
		}))
		l := open(t, Config{FS: fs, SegmentSize: 1})
		l.Record(fact(mail.EventDelivery, 0))
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		sealing = true
		err := l.tidy(t.Context())
		sealing = false
		if err == nil && fail == 0 {
			t.Fatal("no operation failed")
		}
		if err := l.tidy(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, files := lines(t, mem); !slices.Equal(got, count(1)) || len(files) != 1 || !strings.HasSuffix(files[0], sealedTail) {
			t.Fatalf("operation %d failed: records %v in %v", fail, got, files)
		}
		if err == nil {
			return
		}
	}
}

func TestClosed(t *testing.T) {
	l := open(t, Config{FS: vfs.NewMem()})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l.Record(fact(mail.EventDelivery, 0))
	if err := l.Flush(); err == nil {
		t.Error("a record after Close is said to be safe")
	}
}

func TestOnTheMachinesFiles(t *testing.T) {
	cfg := Config{Dir: t.TempDir() + "/log", Sync: true, SegmentSize: 1}
	l, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		l.Record(fact(mail.EventDelivery, n))
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(l.tidy(t.Context()), l.Close()); err != nil {
		t.Fatal(err)
	}
	names, err := vfs.Default.List(cfg.Dir)
	if err != nil || len(names) != 3 {
		t.Errorf("%v, %v", names, err)
	}
	if _, err := New(Config{}); err == nil {
		t.Error("a log without a directory was opened")
	}
}

func BenchmarkRecordAndFlush(b *testing.B) {
	l, err := New(Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	e := testEvent()
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		l.Record(e)
		if n++; n%100 == 0 {
			if err := l.Flush(); err != nil {
				b.Fatal(fmt.Errorf("after %d: %w", n, err))
			}
		}
	}
}
