package source

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xdg-go/scram"

	"tenma/bench/load"
	"tenma/bench/source/letter"
)

// Source is one load. New makes it, Run sends it, once; Live, Acks and Name
// may be called at any time.
type Source struct {
	cfg   Config
	tls   *tls.Config
	scram *scram.Client
	mail  *letter.Set
	sched *schedule

	started atomic.Bool
	start   time.Time // set before the sessions begin
	next    atomic.Int64
	binds   atomic.Uint64
	up      atomic.Int64 // when a connection was last ready, since start
	halt    atomic.Pointer[error]
	stop    context.CancelFunc

	count   counters
	meter   *meter
	acks    Acks
	arrived atomic.Int64 // at the sink, as it last said

	mu     sync.Mutex
	points []load.Point
	// Messages of an open loop that are due and not taken: now, and at most.
	backlog, late int64
}

// New checks a Config and prepares the load: texts, certificates, corpus. It
// opens no connection.
func New(c Config) (*Source, error) {
	if c.Run == "" {
		c.Run = "r" + strings.ToLower(rand.Text()[:10])
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	s := &Source{cfg: c, meter: newMeter(min(c.Sessions, runtime.GOMAXPROCS(0)))}
	var err error
	if s.tls, err = c.tlsConfig(); err != nil {
		return nil, err
	}
	if s.scram, err = newScram(&c); err != nil {
		return nil, fmt.Errorf("user or password: %w", err)
	}
	author := c.From
	if author == "" {
		author = "bench@source.test"
	}
	s.mail, err = letter.New(letter.Config{
		Run: c.Run, Seed: c.Seed, From: author, Users: c.Users, Domains: c.Domains, Sizes: c.Size, Corpus: c.Corpus, Stuffed: !c.BDAT,
	})
	if err != nil {
		return nil, err
	}
	if c.Rate.open() {
		s.sched = newSchedule(c.Rate, c.Spacing, c.Seed)
	}
	return s, nil
}

// Name is the run's name, as the messages' tags have it.
func (s *Source) Name() string { return s.cfg.Run }

// Acks gives the times of acceptance.
func (s *Source) Acks() *Acks { return &s.acks }

// Run sends the load and, if the Config has a Sink and a Wait, awaits the
// arrivals. It ends when all is sent, or after the Duration, or when ctx ends:
// then no message starts any more and the replies that are due have the
// Config's Grace. Its result is of what was done, also beside an error, which
// says why the load could not go on.
func (s *Source) Run(ctx context.Context) (load.Result, error) {
	if s.started.Swap(true) {
		return load.Result{}, errors.New("a load runs once")
	}
	if s.cfg.Sink != nil {
		if err := s.cfg.Sink.Reset(ctx, s.cfg.Run); err != nil {
			return load.Result{}, err
		}
	}
	sending, stop := context.WithCancel(ctx)
	defer stop()
	s.stop = stop
	s.start = time.Now()

	watching, watched := context.WithCancel(context.Background())
	var watchers sync.WaitGroup
	watchers.Go(func() { s.watch(watching) })
	if s.cfg.Sink != nil {
		watchers.Go(func() { s.poll(watching) })
	}
	var sessions sync.WaitGroup
	for i := range s.cfg.Sessions {
		sessions.Go(func() { newSession(s, i).run(sending) })
	}
	sessions.Wait()

	var err error
	if p := s.halt.Load(); p != nil {
		err = *p
	}
	r := s.result()
	if s.cfg.Sink != nil && s.cfg.Wait > 0 {
		err = errors.Join(err, s.Await(ctx, &r))
	}
	watched()
	watchers.Wait()
	s.mu.Lock()
	r.Series = s.points
	s.mu.Unlock()
	return r, err
}

// giveUp ends the load for a reason.
func (s *Source) giveUp(err error) {
	if s.halt.CompareAndSwap(nil, &err) {
		s.stop()
	}
}

// local is the address of the next connection.
func (s *Source) local() netip.Addr {
	if len(s.cfg.Bind) == 0 {
		return netip.Addr{}
	}
	return s.cfg.Bind[(s.binds.Add(1)-1)%uint64(len(s.cfg.Bind))]
}

// last is the number that no message reaches.
func (s *Source) last() int64 {
	if s.cfg.Count > 0 {
		return s.cfg.Count
	}
	return load.MaxMessages
}

// take gives the next message; in an open loop, if it is due not later than
// by. Messages that would be due after the Duration are never taken.
func (s *Source) take(elapsed, by time.Duration) (m message, ok bool) {
	if s.cfg.Duration > 0 && elapsed >= s.cfg.Duration {
		return m, false
	}
	if s.sched == nil {
		n := s.next.Add(1) - 1
		return message{n: uint32(n)}, n < s.last()
	}
	if s.cfg.Duration > 0 {
		by = min(by, s.cfg.Duration)
	}
	n, due, ok := s.sched.take(by)
	if !ok || int64(n) >= s.last() {
		return m, false
	}
	return message{n: n, due: s.start.Add(due)}, true
}

// dial opens a TCP connection.
func (s *Source) dial(ctx context.Context) (net.Conn, error) {
	local := s.local()
	if s.cfg.Dial != nil {
		return s.cfg.Dial(ctx, local, s.cfg.Address)
	}
	d := net.Dialer{KeepAlive: -1} // replies have a deadline; this saves four system calls
	if local.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: local.AsSlice(), Zone: local.Zone()}
	}
	return d.DialContext(ctx, "tcp", s.cfg.Address)
}
