package pebblespool_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tenma/spool"
	"tenma/spool/pebblespool"
)

// The backlog benchmark fills a spool on a real disk, kills the process that did
// it, opens the spool again in this one, hands out what is in it, removes all but
// every nth (-backlog.keep), and looks half a minute later how much room is taken:
//
//	go test -run '^$' -bench Backlog -benchtime 1x ./spool/pebblespool -backlog 1000000
//
// It prints a line for each phase. Octets are what the kernel was given to write
// (/proc/self/io), for each octet of mail.
var (
	backlog     = flag.Int("backlog", 20_000, "messages in the backlog")
	backlogBody = flag.Int("backlog.body", 4<<10, "octets of a body")
	backlogText = flag.Bool("backlog.text", false, "bodies of words instead of random octets")
	backlogDir  = flag.String("backlog.dir", "", "where the spool lies; empty: a temporary folder")
	backlogMem  = flag.Int64("backlog.memory", 64<<20, "spool.memory")
	memTableMiB = flag.Int64("backlog.memtable", 0, "MiB of a memtable; 0: the default")
	backlogKeep = flag.Int("backlog.keep", 0, "which message is not removed: every nth; 0: none is kept")
	committers  = flag.Int("backlog.sessions", 200, "how many commit at a time")
)

const fillEnv = "SPOOL_FILL"

func backlogOptions(dir string) pebblespool.Options {
	return pebblespool.Options{Dir: dir, Memory: *backlogMem, MemTable: *memTableMiB << 20, MinFreePercent: -1}
}

func BenchmarkBacklog(b *testing.B) {
	if dir := os.Getenv(fillEnv); dir != "" {
		fillBacklog(b, dir)
		return
	}
	for range b.N {
		benchmarkBacklog(b)
	}
}

func benchmarkBacklog(b *testing.B) {
	dir := *backlogDir
	if dir == "" {
		dir = b.TempDir()
	}
	fill := exec.Command(os.Args[0], os.Args[1:]...)
	fill.Env = append(os.Environ(), fillEnv+"="+dir)
	fill.Stdout, fill.Stderr = os.Stderr, os.Stderr
	_ = fill.Run() // it kills itself
	if fill.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		b.Fatal("filling failed")
	}

	before := usedNow()
	start := time.Now()
	s, err := pebblespool.Open(backlogOptions(dir))
	if err != nil {
		b.Fatal(err)
	}
	opened := time.Since(start)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	var first time.Duration
	ids := make([]spool.ID, 0, *backlog)
	all := make(chan struct{})
	fed := make(chan error, 1)
	go func() {
		fed <- s.Feed(ctx, func(e spool.Entry) {
			if ids = append(ids, e.ID); len(ids) == 1 {
				first = time.Since(start)
			}
			if len(ids) == *backlog {
				close(all)
			}
		})
	}()
	select {
	case <-all:
	case err := <-fed:
		b.Fatal(err)
	}
	whole := time.Since(start)
	report("restart", before, len(ids), s, fmt.Sprintf("open %v, first entry %v, all %v,", opened.Round(time.Millisecond), first.Round(time.Millisecond), whole.Round(time.Millisecond)))
	b.ReportMetric(opened.Seconds(), "s-open")
	b.ReportMetric(whole.Seconds(), "s-rebuilt")
	before = usedNow()
	removed := removeAll(b, s, ids)
	time.Sleep(30 * time.Second)
	report("drained", before, removed, s, "")
	cancel()
	if err := errors.Join(<-fed, <-ended); err != nil {
		b.Fatal(err)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// removeAll settles mail as delivered, and gives how much it was.
func removeAll(b *testing.B, s *pebblespool.Spool, ids []spool.ID) (n int) {
	var done sync.WaitGroup
	for i, id := range ids {
		if *backlogKeep > 0 && i%*backlogKeep == 0 {
			continue
		}
		n++
		done.Add(1)
		s.Settle(spool.Settlement{ID: id, Remove: true}, func(err error) {
			if err != nil {
				b.Error(err)
			}
			done.Done()
		})
	}
	done.Wait()
	return n
}

// fillBacklog accepts the backlog, each message durably, and defers each once, as
// a relay does that can't deliver. A tenth is accepted at a time, so that the last
// can be compared with the first.
func fillBacklog(b *testing.B, dir string) {
	s, err := pebblespool.Open(backlogOptions(dir))
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	go func() { b.Error(s.Run(ctx)) }()
	var settled atomic.Int64
	go func() {
		state := bytes.Repeat([]byte("connection refused "), 3)
		b.Error(s.Feed(ctx, func(e spool.Entry) {
			s.Settle(spool.Settlement{ID: e.ID, State: state, Due: time.Now().Add(10 * time.Minute)}, func(error) { settled.Add(1) })
		}))
	}()
	whole := usedNow()
	const parts = 10
	var done int64
	for part := range parts {
		at := usedNow()
		share := int64(*backlog*(part+1)/parts) - done
		accept(b, s, share)
		done += share
		for settled.Load() < done {
			time.Sleep(time.Millisecond)
		}
		report(fmt.Sprintf("fill %d/%d", part+1, parts), at, int(share), s, "")
	}
	// What the kernel has not seen yet: what is in memtables will be written once
	// more, in part.
	report("filled", whole, *backlog, s, "")
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

func accept(b *testing.B, s *pebblespool.Spool, n int64) {
	var left atomic.Int64
	left.Store(n)
	var all sync.WaitGroup
	for range *committers {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(rand.Uint64(), 1))
			for left.Add(-1) >= 0 {
				if err := s.Commit(b.Context(), draftOf(rng)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

var words = strings.Fields("mail the relay has to go on for as long as it takes and a body of words is shorter when packed than one of noise")

func draftOf(rng *rand.Rand) spool.Draft {
	body := make([]byte, 0, *backlogBody+16)
	for len(body) < *backlogBody {
		if *backlogText {
			body = append(append(body, words[rng.IntN(len(words))]...), ' ')
			if rng.IntN(5) == 0 {
				body = strconv.AppendUint(body, rng.Uint64(), 36)
			}
			continue
		}
		x := rng.Uint64()
		body = append(body, byte(x), byte(x>>8), byte(x>>16), byte(x>>24), byte(x>>32), byte(x>>40), byte(x>>48), byte(x>>56))
	}
	var random [10]byte
	for i := range random {
		random[i] = byte(rng.Uint32())
	}
	envelope := fmt.Appendf(nil, "sender-%x@src.test recipient-%x@dest-%d.test and what else an envelope holds", random[:4], random[4:8], random[9])
	return spool.Draft{ID: spool.NewID(time.Now(), random), Envelope: envelope, Body: body[:*backlogBody]}
}

// used is what the process has used so far.
type used struct {
	at      time.Time
	cpu     time.Duration
	written int64
}

func usedNow() (u used) {
	u.at = time.Now()
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	u.cpu = time.Duration(r.Utime.Nano() + r.Stime.Nano())
	u.written = procField("/proc/self/io", "write_bytes:")
	return u
}

func procField(file, field string) (n int64) {
	b, _ := os.ReadFile(file)
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, field); ok {
			n, _ = strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
		}
	}
	return n
}

func report(phase string, from used, n int, s *pebblespool.Spool, more string) {
	to := usedNow()
	m := s.Pebble()
	rss := procField("/proc/self/status", "VmRSS:") << 10
	mail := float64(n) * float64(*backlogBody)
	fmt.Fprintf(os.Stderr, "%-10s %8d messages, %6.0f/s, %.3f CPU s/1000, written %.2fx (so far: log %.2f flushed %.2f+%.2f compacted %.2f+%.2f GiB); %s RSS %d MiB, of it memtables %d, block cache %d; disk %d MiB\n",
		phase, n, float64(n)/to.at.Sub(from.at).Seconds(), (to.cpu-from.cpu).Seconds()/float64(n)*1000, float64(to.written-from.written)/mail,
		gib(m.WAL.BytesWritten), gib(m.Levels[0].TableBytesFlushed), gib(m.Levels[0].BlobBytesFlushed), gib(m.Total().TableBytesCompacted), gib(m.Total().BlobBytesCompacted),
		more, rss>>20, (m.MemTable.Size+m.MemTable.ZombieSize)>>20, m.BlockCache.Size>>20, m.DiskSpaceUsage()>>20)
}

func gib(n uint64) float64 { return float64(n) / (1 << 30) }
