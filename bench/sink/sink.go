package sink

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"tenma/bench/internet"
)

// Sink is one sink. Its methods may be called at any time.
type Sink struct {
	cfg   Config
	ready chan struct{}
	tally atomic.Pointer[tally]
	hosts atomic.Pointer[hosts]
	down  atomic.Bool
	open  atomic.Int64 // connections now
	grey  greylist
	store *store // nil for none

	changing sync.Mutex // of hosts

	mu       sync.Mutex // below
	ctx      context.Context
	addrs    []string // with real ports, once they are known
	doors    []*door  // open listeners
	sessions map[*session]struct{}
	number   uint64         // of connections so far: each has its own chance
	running  sync.WaitGroup // doors and sessions
}

// New makes a sink; Run runs it.
func New(cfg Config) (*Sink, error) {
	if cfg.Name == "" {
		cfg.Name = defaultName
	}
	if cfg.MaxSize <= 0 {
		cfg.MaxSize = defaultSize
	}
	if cfg.Net == nil {
		cfg.Net = net.Listen
	}
	s := &Sink{cfg: cfg, ready: make(chan struct{}), sessions: map[*session]struct{}{}, grey: greylist{seen: map[uint64]int64{}, most: maxGrey}}
	var err error
	if s.addrs, err = Expand(cfg.Listen); err != nil {
		return nil, err
	}
	if len(s.addrs) == 0 {
		return nil, errors.New("a sink needs an address to listen on")
	}
	h := &hosts{name: cfg.Name, size: cfg.MaxSize, at: map[string]*host{}, domains: map[string]*host{}}
	set := func(place string, m internet.Manner) {
		if e := able(&m); e != nil {
			err = e
		}
		h = h.with(place, &m)
	}
	set("", cfg.Manner)
	for a, m := range cfg.At {
		set(a, m)
	}
	for d, m := range cfg.Domains {
		set("@"+d, m)
	}
	if err != nil {
		return nil, err
	}
	s.hosts.Store(h)
	s.tally.Store(newTally(cfg.Run))
	if cfg.Store != "" {
		s.store = &store{dir: cfg.Store, max: cfg.StoreMax, late: cfg.StoreLate}
	}
	return s, nil
}

// Run opens the addresses and takes mail until ctx ends; it then closes every
// connection and returns nil when their goroutines have ended. An error is an
// address or folder that could not be opened, or a message that could not be
// stored late. It runs once.
func (s *Sink) Run(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if s.store != nil {
		if err := os.MkdirAll(s.store.dir, 0o700); err != nil {
			return fmt.Errorf("the folder to store messages in: %w", err)
		}
	}
	defer func() {
		s.running.Wait()
		err = errors.Join(err, s.store.flush())
	}()
	failed := make(chan error, 1)
	if s.cfg.Control != "" {
		l, err := s.cfg.Net("tcp", s.cfg.Control)
		if err != nil {
			return fmt.Errorf("the control port: %w", err)
		}
		srv := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second}
		s.running.Go(func() {
			if err := srv.Serve(l); ctx.Err() == nil {
				failed <- fmt.Errorf("the control port: %w", err)
			}
		})
		defer srv.Close()
	}
	s.mu.Lock()
	s.ctx = ctx
	s.mu.Unlock()
	defer func() {
		cancel()
		_ = s.Down(true)
	}()
	if !s.down.Load() {
		if err := s.Down(false); err != nil {
			return err
		}
	}
	close(s.ready)
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

// Ready is closed when the sink takes mail; not at all when Run fails before.
func (s *Sink) Ready() <-chan struct{} { return s.ready }

// Addrs are the listening addresses, with their real ports once Ready.
func (s *Sink) Addrs() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.addrs...)
}

// Stats gives what was seen since the last Reset.
func (s *Sink) Stats() Stats {
	st := s.tally.Load().stats()
	st.Open, st.Down = s.open.Load(), s.down.Load()
	return st
}

// Reset starts to count the messages of a run, from nothing; "" is the run of
// the next tagged message. Greylists forget. Connections stay.
func (s *Sink) Reset(run string) {
	t := newTally(run)
	t.peak.Store(s.open.Load())
	s.grey.mu.Lock()
	clear(s.grey.seen)
	s.grey.mu.Unlock()
	s.tally.Store(t)
}

// Arrivals gives the messages of the current run that arrived: number, how
// often, and when first, as Unix time in nanoseconds. ok is false when another
// run is being counted.
func (s *Sink) Arrivals(run string, f func(n, count uint32, first int64)) (ok bool) {
	t := s.tally.Load()
	if t.name() != run {
		return false
	}
	t.each(f)
	return true
}

// SetManner changes how hosts behave, from the next command on: all that have
// no manner of their own (""), those of one listening address ("127.1.0.3:25",
// "127.1.0.3"), or those of a recipient domain ("@slow.test", "@*.test"). Nil
// takes a manner away.
func (s *Sink) SetManner(place string, m *internet.Manner) error {
	if m != nil {
		if err := able(m); err != nil {
			return err
		}
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	s.hosts.Store(s.hosts.Load().with(place, m))
	return nil
}

// Down closes every address, so that connections are refused, or opens them
// again. Who is connected may finish a message and is then told 421. Before
// Run it decides how Run begins.
func (s *Sink) Down(down bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down.Store(down)
	if s.ctx == nil {
		return nil
	}
	if err := s.ctx.Err(); err != nil && !down {
		return err // Run has ended
	}
	if down {
		for _, d := range s.doors {
			d.Close()
		}
		s.doors = nil
		for c := range s.sessions {
			_ = c.raw.SetReadDeadline(time.Unix(1, 0)) // wakes it
		}
		return nil
	}
	if len(s.doors) > 0 {
		return nil
	}
	for i, a := range s.addrs {
		l, err := s.cfg.Net("tcp", a)
		if err != nil {
			for _, d := range s.doors {
				d.Close()
			}
			s.doors = nil
			return err
		}
		s.addrs[i] = l.Addr().String() // the same port when it is opened again
		d := &door{Listener: l, address: s.addrs[i]}
		s.doors = append(s.doors, d)
		s.running.Go(func() { s.serve(s.ctx, d) })
	}
	return nil
}

// door is one open listener.
type door struct {
	net.Listener
	address string
	open    atomic.Int64 // its connections
}

// serve takes connections until the door is closed.
func (s *Sink) serve(ctx context.Context, d *door) {
	for {
		c, err := d.Accept()
		if errors.Is(err, net.ErrClosed) || err != nil && ctx.Err() != nil {
			return
		}
		if err != nil { // no file descriptors left: wait for some to be closed
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
				return
			}
			continue
		}
		raise(&s.tally.Load().peak, s.open.Add(1))
		at := d.open.Add(1)
		s.running.Go(func() { s.converse(ctx, d, c, at) })
	}
}

// converse serves one connection, of which its door has open.
func (s *Sink) converse(ctx context.Context, d *door, c net.Conn, open int64) {
	defer c.Close()
	s.tally.Load().conns.Add(1)
	session := newSession(ctx, s, d, c)
	s.mu.Lock()
	s.number++
	session.chance.Seed(s.cfg.Seed, s.number)
	s.sessions[session] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.sessions, session)
		s.mu.Unlock()
	}()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	defer session.leave()
	session.run(open)
}
