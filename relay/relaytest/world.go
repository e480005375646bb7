package relaytest

import (
	"context"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tenma/bench/internet"
	"tenma/dnscache/dnstest"
	"tenma/metrics"
	"tenma/relay"
	"tenma/relay/config"
	"tenma/relay/relaytest/fakenet"
	"tenma/spool/pebblespool"
)

// DNSServer is the address at which the World's DNS answers.
const DNSServer = "203.0.113.53:53"

// TB is the part of testing.TB that a World needs.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
}

// World is an internet with one relay in it. Make it inside a synctest bubble
// and call Close before the bubble ends.
type World struct {
	Net *fakenet.Net
	DNS *dnstest.Server
	Dir string    // a real directory: configuration, accounts, mail log
	Log io.Writer // the relay's program log; nil: discarded

	t         TB
	disk      *vfs.MemFS // the spool's
	random    *rand.Rand
	ctx       context.Context
	cancel    context.CancelFunc
	receivers map[string]*internet.Receiver
	wg        sync.WaitGroup

	mu  sync.Mutex
	got []internet.Message // guarded by mu

	relay *relay.Relay
	host  *host // the relay's side of the network
	stop  context.CancelFunc
	ended chan error

	logFile string
}

// New makes a world whose files live in dir.
func New(t TB, dir, zone string) *World {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	return &World{
		Net: fakenet.New(), DNS: dnstest.New(zone), Dir: dir, t: t, disk: vfs.NewCrashableMem(), random: rand.New(rand.NewPCG(1, 2)),
		ctx: ctx, cancel: cancel, receivers: map[string]*internet.Receiver{},
	}
}

// Receive puts a receiving host on the network, or changes the manner of one
// that is there. words are internet.ParseManner's.
func (w *World) Receive(name, address string, words ...string) *internet.Receiver {
	w.t.Helper()
	m, err := internet.ParseManner(words, nil)
	if slices.ContainsFunc(words, func(s string) bool { return strings.HasPrefix(s, "tls") }) {
		m, err = internet.ParseManner(words, internet.SelfSigned(name))
	}
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	if r := w.receivers[name]; r != nil {
		r.SetManner(m)
		return r
	}
	l, err := w.Net.Listen("tcp", address)
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	r := internet.NewReceiver(name, m, 1, func(m internet.Message) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.got = append(w.got, m)
	})
	w.receivers[name] = r
	w.wg.Go(func() { r.Serve(w.ctx, l) })
	return r
}

// Got gives the messages that a receiver took, all of them for "".
func (w *World) Got(receiver string) []internet.Message {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []internet.Message
	for _, m := range w.got {
		if receiver == "" || m.Receiver == receiver {
			out = append(out, m)
		}
	}
	return out
}

// Start runs a relay on the configuration file at path.
func (w *World) Start(path string) {
	w.t.Helper()
	c, _, err := config.Load(path)
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	c.MailLog.SegmentAge = math.MaxInt64 // one file to look into
	out := w.Log
	if out == nil {
		out = io.Discard
	}
	w.host = newHost(w.Net, w.DNS)
	w.logFile = w.disk.PathJoin(c.MailLog.Dir, "mail.jsonl")
	r, err := relay.New(relay.Options{
		Config: c, Version: "test", FS: w.disk, Listen: w.host.Listen, Dialer: w.host, DialDNS: w.host.DialDNS,
		Random: seeded{w.random}, Seed: 1,
		Log: slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug})),
		OpenSpool: func(_ config.Spool, flush func() error, m *metrics.Spool, log *slog.Logger) (relay.Engine, error) {
			return pebblespool.Open(pebblespool.Options{Dir: "spool", FS: w.disk, Bubble: true, BeforeSettle: flush, Metrics: m, Logger: log})
		},
	})
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	if err := r.Listen(); err != nil {
		w.t.Fatalf("%v", err)
	}
	ctx, stop := context.WithCancel(w.ctx)
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	w.relay, w.stop, w.ended = r, stop, ended
	synctest.Wait()
}

// Relay is the running relay, nil when there is none.
func (w *World) Relay() *relay.Relay { return w.relay }

// MailLog gives the open segment of the mail log.
func (w *World) MailLog() (string, error) {
	if w.relay != nil {
		if err := w.relay.FlushLog(); err != nil {
			return "", err
		}
	}
	f, err := w.disk.Open(w.logFile)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	return string(b), err
}

// Stop drains the relay, as SIGTERM does, and gives Run's error.
func (w *World) Stop() error {
	if w.relay == nil {
		return nil
	}
	w.stop()
	err := <-w.ended
	w.relay, w.host = nil, nil
	return err
}

// Crash ends the relay as a loss of power does: its connections break, and of
// what it wrote to disk only what was synced is sure to be there afterwards; of
// the rest, unsyncedPercent.
func (w *World) Crash(unsyncedPercent int) {
	w.t.Helper()
	disk := w.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsyncedPercent, RNG: w.random})
	w.host.kill()
	w.stop()
	<-w.ended // what it still does happens to the old disk
	w.disk, w.relay, w.host = disk, nil, nil
}

// Close ends everything.
func (w *World) Close() {
	if err := w.Stop(); err != nil {
		w.t.Logf("relay: %v", err)
	}
	w.cancel()
	w.wg.Wait()
}

// seeded is a random source that repeats.
type seeded struct{ r *rand.Rand }

func (s seeded) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(s.r.Uint32())
	}
	return len(p), nil
}
