package milter

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"tenma/relay/mail"
	wire "tenma/relay/wire/milter"
)

// What is offered to filters. A body that is already on disk cannot be replaced, and
// parameters of a new recipient would be promises that nobody made: filters that
// cannot do without say so when they negotiate.
const (
	offeredActions = wire.AddHeader | wire.ChangeHeader | wire.AddRecipient | wire.DeleteRecipient | wire.ChangeSender | wire.Quarantine
	offeredSteps   = wire.AllSteps
)

// Idle connections are kept this long, and this many of a filter. Filters built on
// libmilter keep a thread for each.
const (
	maxIdle  = 8
	idleTime = 30 * time.Second
)

// conn is a connection on which a filter has been negotiated with. It belongs to one
// talk at a time.
type conn struct {
	net.Conn
	in     *bufio.Reader
	buf    []byte // of packets that are read
	agreed wire.Negotiation
	used   bool // an earlier talk was held on it
	since  time.Time
}

// server is a filter that the relay talks to, with the connections to it.
type server struct {
	Filter
	dial  func(ctx context.Context, network, address string) (net.Conn, error)
	slots chan struct{} // one token per talk
	// strangers has one token per talk about mail of who may not relay. They get half of
	// the slots: a talk lasts for as long as a large message takes to arrive, and they
	// may take their time to keep our own mail out.
	strangers chan struct{}

	mu     sync.Mutex
	idle   []*conn // guarded by mu; the one used last is at the end
	closed bool    // guarded by mu
	sweep  *time.Timer
	told   time.Time // guarded by mu: when a failure was last logged
	silent int       // guarded by mu: failures since then
}

func newServer(f Filter, dial func(ctx context.Context, network, address string) (net.Conn, error)) *server {
	f = f.withDefaults()
	return &server{
		Filter: f, dial: dial,
		slots: make(chan struct{}, f.MaxConnections), strangers: make(chan struct{}, max(f.MaxConnections/2, 1)),
	}
}

// enter waits for the turn of a message to be talked about; leave ends it.
func (s *server) enter(ctx context.Context, e *mail.Envelope) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.Connect, errBusy)
	defer cancel()
	if !e.Trusted {
		if err := wait(ctx, s.strangers); err != nil {
			return err
		}
	}
	err := wait(ctx, s.slots)
	if err != nil && !e.Trusted {
		<-s.strangers
	}
	return err
}

func (s *server) leave(e *mail.Envelope) {
	<-s.slots
	if !e.Trusted {
		<-s.strangers
	}
}

// errBusy is the failure of a filter that was talked to too much.
var errBusy = errors.New("as many talks are under way as there may be at a time, and none ended in time")

// wait puts a token into slots.
func wait(ctx context.Context, slots chan struct{}) error {
	select {
	case slots <- struct{}{}:
		return nil
	default:
	}
	select {
	case slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// get gives a connection, a kept one where fresh is not demanded.
func (s *server) get(ctx context.Context, fresh bool) (*conn, error) {
	if !fresh {
		if c := s.take(); c != nil {
			return c, nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, s.Connect)
	defer cancel()
	raw, err := s.dial(ctx, s.Network, s.Address)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: raw, in: bufio.NewReaderSize(raw, 4<<10), buf: make([]byte, 0, 1<<10)}
	defer context.AfterFunc(ctx, func() { raw.SetDeadline(time.Unix(1, 0)) })()
	if err := c.negotiate(); err != nil {
		raw.Close()
		return nil, fmt.Errorf("negotiation: %w", err)
	}
	return c, nil
}

// negotiate makes the first exchange, within the deadline that is set.
func (c *conn) negotiate() error {
	offer := wire.Negotiation{Version: wire.Version, Actions: offeredActions, Steps: offeredSteps}
	if _, err := c.Write(wire.AppendNegotiation(nil, offer)); err != nil {
		return err
	}
	code, data, err := wire.Read(c.in, c.buf)
	if err != nil {
		return fmt.Errorf("%w (a filter that wants to do what is not offered closes here: replace bodies, for one)", err)
	}
	c.agreed, err = wire.ParseNegotiation(code, data, offer)
	return err
}

// take gives the kept connection that was used last, nil where there is none.
func (s *server) take() *conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.idle)
	if n == 0 {
		return nil
	}
	c := s.idle[n-1]
	s.idle = s.idle[:n-1]
	return c
}

// keep takes a connection back whose talk has come to its regular end. A filter of
// version 6 can be told that another session follows; what it sent beyond its answers
// would be taken for answers to that.
func (s *server) keep(c *conn) {
	c.used, c.since = true, time.Now()
	if c.agreed.Version < wire.Version || c.in.Buffered() > 0 {
		s.quit(c)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.idle) >= maxIdle {
		s.quit(c)
		return
	}
	s.idle = append(s.idle, c)
	if s.sweep == nil {
		s.sweep = time.AfterFunc(idleTime, s.expire)
	}
}

// expire closes what nobody used for idleTime.
func (s *server) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep = nil
	for len(s.idle) > 0 && time.Since(s.idle[0].since) >= idleTime {
		s.quit(s.idle[0])
		s.idle = s.idle[1:]
	}
	if len(s.idle) > 0 {
		s.sweep = time.AfterFunc(idleTime-time.Since(s.idle[0].since), s.expire)
	}
}

// close ends all kept connections, and those in use as soon as they come back.
func (s *server) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, c := range s.idle {
		s.quit(c)
	}
	s.idle = nil
	if s.sweep != nil {
		s.sweep.Stop()
		s.sweep = nil
	}
}

// quit says goodbye and closes. Its few octets go into the socket's buffer or
// nowhere.
func (*server) quit(c *conn) {
	c.SetWriteDeadline(time.Now().Add(time.Second))
	_, err := c.Write(wire.AppendQuit(nil))
	_ = errors.Join(err, c.Close()) // nobody is left to be told
}
