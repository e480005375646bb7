package relaytest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/prometheus/client_golang/prometheus"

	"tenma/bench/internet"
	"tenma/bench/internet/fakenet"
	"tenma/dnscache/dnstest"
	"tenma/metrics"
	"tenma/relay"
	"tenma/relay/config"
	"tenma/relay/mailbox"
	"tenma/relay/wire/smtp"
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
	random    *rand.Rand // the world's; each relay has one of its own, which it uses while it is crashed
	started   uint64     // relays so far
	ctx       context.Context
	cancel    context.CancelFunc
	receivers map[string]*internet.Receiver
	wg        sync.WaitGroup

	mu      sync.Mutex
	got     []internet.Message // guarded by mu
	arrived chan struct{}      // guarded by mu: closed and replaced when got grows

	full   atomic.Bool  // the spool's disk
	broken *atomic.Bool // set: syncs of the spool's disk fail
	ca     *authority   // made when first needed
	keys   map[string][]string

	certs    map[string]*tls.Config // of receivers
	policies map[string]*policyHost // by domain
	posts    map[string]*posts      // by the collector's host
	filters  map[string]func()      // by address: takes one away
	registry *prometheus.Registry   // of the running relay

	relay *relay.Relay
	host  *host // the relay's side of the network
	stop  context.CancelFunc
	ended chan error

	logFile string
	boxes   string // where mailboxes are
}

// New makes a world whose files live in dir.
func New(t TB, dir, zone string) *World {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	return &World{
		Net: fakenet.New(), DNS: dnstest.New(zone), Dir: dir, t: t, disk: vfs.NewCrashableMem(), random: rand.New(rand.NewPCG(1, 2)),
		ctx: ctx, cancel: cancel, receivers: map[string]*internet.Receiver{}, arrived: make(chan struct{}), keys: map[string][]string{},
		broken: new(atomic.Bool), certs: map[string]*tls.Config{}, policies: map[string]*policyHost{}, posts: map[string]*posts{}, filters: map[string]func(){},
	}
}

// Receive puts a receiving host on the network, or changes the manner of one
// that is there. words are internet.ParseManner's; with "ca" among them its
// certificate is one that the relay trusts.
func (w *World) Receive(name, address string, words ...string) *internet.Receiver {
	w.t.Helper()
	var cert *tls.Config
	if i := slices.Index(words, "ca"); i >= 0 {
		words = slices.Delete(slices.Clone(words), i, i+1)
		cert = w.authority().issue(name)
	} else if slices.ContainsFunc(words, func(s string) bool { return strings.HasPrefix(s, "tls") }) {
		cert = internet.SelfSigned(name)
	}
	w.certs[name] = cert
	m, err := internet.ParseManner(words, cert)
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
		close(w.arrived)
		w.arrived = make(chan struct{})
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

// Await returns when a receiver has taken n messages, or with an error when ctx
// ends. It is for tests outside a bubble.
func (w *World) Await(ctx context.Context, receiver string, n int) error {
	for {
		w.mu.Lock()
		arrived := w.arrived
		w.mu.Unlock()
		got := len(w.Got(receiver))
		if got >= n {
			return nil
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return fmt.Errorf("%s took %d messages, not %d: %w", receiver, got, n, ctx.Err())
		}
	}
}

// DiskFull says whether the spool's disk has room only for its reserve.
func (w *World) DiskFull(full bool) { w.full.Store(full) }

// BreakDisk makes every sync of the spool fail from now on. Then the
// spool is sick, goroutines of its store stay for good, and so a bubble cannot
// end: such a World is for outside.
func (w *World) BreakDisk() { w.broken.Store(true) }

// space is how much room the spool's disk has.
func (w *World) space() (free, total uint64, err error) {
	if w.full.Load() {
		return 1 << 30, 1 << 40, nil
	}
	return 1 << 39, 1 << 40, nil
}

// spoolFS is w.disk with the failure that BreakDisk asks for.
func (w *World) spoolFS() vfs.FS {
	broken := w.broken
	return errorfs.Wrap(w.disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if sync := op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo; sync && broken.Load() {
			return errors.New("injected: input/output error")
		}
		return nil
	}))
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
	w.boxes = c.Mailbox.Dir
	w.host = newHost(w.Net, w.DNS)
	w.logFile = w.disk.PathJoin(c.MailLog.Dir, "mail.jsonl")
	w.started++
	w.registry = prometheus.NewRegistry()
	r, err := relay.New(relay.Options{
		Config: c, Version: "test", FS: w.disk, Listen: w.host.Listen, Dialer: w.host, DialDNS: w.host.DialDNS, DialFilter: w.host.DialFilter,
		Random: seeded{rand.New(rand.NewPCG(2, w.started))}, Seed: 1, Bubble: true, Roots: w.authority().pool, Registry: w.registry,
		Log: slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug})),
		OpenSpool: func(c config.Spool, flush func() error, m *metrics.Spool, log *slog.Logger) (relay.Engine, error) {
			return pebblespool.Open(pebblespool.Options{
				Dir: c.Dir, FS: w.spoolFS(), BeforeSettle: flush, Metrics: m, Logger: log, FreeSpace: w.space,
				MemTable: 16 << 20,
			})
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
	return w.read(w.logFile)
}

// Mailbox gives the messages in an account's INBOX, in the order in which they
// came. While the relay does not run, its store is opened for the occasion.
func (w *World) Mailbox(a smtp.Address) ([]string, error) {
	if w.relay != nil {
		return inbox(w.relay.Mailboxes(), a)
	}
	s, err := mailbox.New(mailbox.Config{Dir: w.boxes}, mailbox.Deps{FS: w.disk, Bubble: true})
	if err != nil {
		return nil, err
	}
	all, err := inbox(s, a)
	return all, errors.Join(err, s.Close())
}

func inbox(s *mailbox.Store, a smtp.Address) (all []string, err error) {
	if u, err := s.Usage(a.String()); err != nil || u.Messages == 0 {
		return nil, err // Open would make a mailbox
	}
	m, err := s.Open(a.String())
	if err != nil {
		return nil, err
	}
	defer m.Close()
	v, err := m.Select("INBOX", true)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	for seq := 1; seq <= v.Len(); seq++ {
		c, err := v.Open(seq)
		if err != nil {
			return nil, err
		}
		var b strings.Builder
		_, err = c.WriteTo(&b)
		if err = errors.Join(err, c.Close()); err != nil {
			return nil, err
		}
		all = append(all, b.String())
	}
	return all, nil
}

func (w *World) read(name string) (string, error) {
	f, err := w.disk.Open(name)
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

// CrashSick is Crash(0) after BreakDisk, and mends the disk. It does not wait for
// the relay, which cannot end; what it left running is cut off.
func (w *World) CrashSick() {
	w.t.Helper()
	disk := w.disk.CrashClone(vfs.CrashCloneCfg{})
	w.host.kill()
	w.stop()
	w.disk, w.relay, w.host = disk, nil, nil
	w.broken = new(atomic.Bool)
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
