package pebblespool_test

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"tenma/spool/pebblespool"
)

// memTable is so small that the story flushes tables and rotates logs.
const memTable = 64 << 10

// crash is the disk as it would be found after a crash at one moment, and how
// many steps had been answered just before and just after that moment.
type crash struct {
	fs            *vfs.MemFS
	op            errorfs.Op
	before, after int
}

// TestCrashEverywhere crashes before every file operation of the story and looks
// at what is left: exactly what was answered, and the step under way whole or
// not at all. Three kinds of crash: the power fails and only what was synced
// remains; it fails and a random part of the rest remains too (torn writes);
// the process is killed and all that was written remains.
func TestCrashEverywhere(t *testing.T) {
	for name, percent := range map[string]int{"power": 0, "torn": 50, "kill": 100} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dropped := 0
				steps := story(time.Now().Add(1000*time.Hour), &dropped)
				all := worlds(steps)
				crashes := crashStory(t, steps, percent)
				t.Logf("%d crash points", len(crashes))
				if len(crashes) < 50 {
					t.Fatal("the story hardly touches the disk")
				}
				if dropped != 1 {
					t.Fatal("no dead tables were found")
				}
				if spared(crashes) < 3 {
					t.Fatal("hardly a log begins where something stands")
				}
				for i := 0; i < len(crashes); i += every {
					c := crashes[i]
					if err := check(c.fs, all, c.before, c.after+1); err != nil {
						t.Fatalf("crash %d, before %v %s, after %d steps: %v", i, c.op.Kind, c.op.Path, c.before, err)
					}
				}
			})
		})
	}
}

// spared counts the crashes before a log begins in a spare or an old log.
func spared(crashes []crash) (n int) {
	for _, c := range crashes {
		if c.op.Kind == errorfs.OpRename && (strings.HasSuffix(c.op.Path, ".spare") || strings.HasSuffix(c.op.Path, ".log")) {
			n++
		}
	}
	return n
}

func crashStory(t *testing.T, steps []step, percent int) (crashes []crash) {
	mem := vfs.NewCrashableMem()
	rng := rand.New(rand.NewPCG(uint64(percent), 7))
	var acked atomic.Int64
	var mu sync.Mutex
	armed := false
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if !armed || op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		c := crash{op: op, before: int(acked.Load())}
		c.fs = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng})
		c.after = int(acked.Load())
		crashes = append(crashes, c)
		return nil
	}))
	s, err := pebblespool.Open(pebblespool.Options{Dir: "spool", FS: fs, LogAhead: memTable, MemTable: memTable, Memory: -1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	mu.Lock()
	armed = true
	mu.Unlock()
	if err := tell(s, steps, &acked); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	mu.Lock()
	armed = false
	mu.Unlock()
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return crashes
}
