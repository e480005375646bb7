package delivery

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"tenma/relay/delivery/client"
	"tenma/relay/delivery/handshake"
	"tenma/relay/mail"
)

// Client carries attempts to other hosts. Its methods may be called from any
// goroutine. Promise 6 of package relay is kept here: whoever cancels a
// Deliver, the reply to a final dot that was sent is awaited.
type Client struct {
	config   atomic.Pointer[Config]
	deps     Deps
	pool     *pool
	sessions handshake.Sessions
	buffers  client.Buffers
	rough    memory // hosts on whose connections nothing rides behind a dot
	noTLS    memory // hosts whose handshakes fail, by name and port
	random   struct {
		sync.Mutex
		*rand.Rand
	}
}

// New makes a Client. Without Run it works, but keeps no connection open.
func New(cfg Config, deps Deps) *Client {
	if deps.Dialer == nil {
		deps.Dialer = systemDialer{}
	}
	if deps.Guard == nil {
		deps.Guard = plainGuard{}
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	c := &Client{deps: deps}
	c.pool = &pool{metrics: deps.Metrics, wake: make(chan struct{}, 1), lanes: map[mail.Lane]*lane{}}
	c.random.Rand = newRandom(deps.Seed)
	c.Apply(cfg)
	return c
}

// Apply changes the configuration. Open connections live on under what they
// were opened with, except for limits.
func (c *Client) Apply(cfg Config) {
	c.config.Store(cfg.complete())
	c.pool.look()
}

// Run lets connections rest between calls of Deliver, and says QUIT to those
// that have been idle too long. When ctx is cancelled it does so to all idle
// ones and returns, with nil, when the last connection is closed.
func (c *Client) Run(ctx context.Context) error {
	var quits sync.WaitGroup
	farewell := func(old []*conn) {
		for _, k := range old {
			quits.Go(func() { c.quit(k) })
		}
	}
	c.pool.keep(true)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		cfg := c.config.Load()
		old, again := c.pool.expired(time.Now(), cfg.Timeouts.Idle, cfg.IdleConnections)
		farewell(old)
		if again > 0 {
			timer.Reset(again)
		}
		select {
		case <-ctx.Done():
		case <-c.pool.wake:
		case <-timer.C:
		}
	}
	c.pool.keep(false)
	old, _ := c.pool.expired(time.Now(), 0, 0)
	farewell(old)
	quits.Wait()
	<-c.pool.drained()
	return nil
}

// Deliver is a mail.Deliver. It uses one connection at a time. Where next
// gives an attempt that the connection in hand does not lead to (a lane may
// have several sites), or that it may carry no more of, the attempt goes out
// over another one. It returns before next is empty when a connection failed:
// whether the lane is worth another is the caller's to decide.
func (c *Client) Deliver(ctx context.Context, first *mail.Attempt, next func() *mail.Attempt, done func(*mail.Attempt, []mail.Outcome)) {
	j := newJob(first)
	for j != nil {
		s := &session{client: c, cfg: c.config.Load(), ctx: ctx, held: context.WithoutCancel(ctx), next: next, done: done, job: j}
		s.leg()
		switch {
		case s.other != nil:
			j = s.other
		case s.full && ctx.Err() == nil:
			j = nil
			if a := next(); a != nil {
				j = newJob(a)
			}
		default:
			return
		}
	}
}

// quit ends a connection with good manners and gives its slot back.
func (c *Client) quit(k *conn) {
	k.Quit(c.config.Load().Timeouts.Quit)
	c.gone(k)
}

// drop ends a connection at once and gives its slot back.
func (c *Client) drop(k *conn) {
	k.Close()
	c.gone(k)
}

func (c *Client) gone(k *conn) {
	c.count(k)
	c.pool.release(k.key.lane)
}

// count adds what a connection carried to the metrics.
func (c *Client) count(k *conn) {
	in, out := k.Traffic()
	c.deps.Metrics.Octets.WithLabelValues("in").Add(float64(in))
	c.deps.Metrics.Octets.WithLabelValues("out").Add(float64(out))
}

// dice is randomness for many goroutines.
func (c *Client) dice(n int) int {
	c.random.Lock()
	defer c.random.Unlock()
	return c.random.IntN(n)
}

func newRandom(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, seed^0x9e3779b97f4a7c15)) }

// systemDialer dials through the operating system.
type systemDialer struct{}

func (systemDialer) Dial(ctx context.Context, local netip.Addr, to netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{}
	if local.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0))
	}
	return d.DialContext(ctx, "tcp", to.String())
}
