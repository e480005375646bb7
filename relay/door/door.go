package door

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Door is one listener. Serve owns one goroutine per connection; the other
// methods may be called from any.
type Door struct {
	inner    net.Listener
	cfg      Config
	log      *slog.Logger
	limits   atomic.Pointer[Limits]
	draining chan struct{} // closed by drain
	hints    hints

	mu      sync.Mutex // guards what follows
	conns   map[*Conn]struct{}
	clients Clients
	drained bool
}

// New makes a Door of a listener. It starts no goroutine.
func New(inner net.Listener, cfg Config) *Door {
	if cfg.Grace <= 0 {
		cfg.Grace = defaultGrace
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	d := &Door{inner: inner, cfg: cfg, log: cfg.Log, draining: make(chan struct{}), conns: map[*Conn]struct{}{}}
	d.Apply(cfg.Limits)
	return d
}

// Addr is the address that it listens on.
func (d *Door) Addr() net.Addr { return d.inner.Addr() }

// Apply changes the limits, for connections to come.
func (d *Door) Apply(l Limits) {
	l = l.orDefault()
	d.limits.Store(&l)
}

// Close stops accepting. Only for a Door that Serve has not been called of.
func (d *Door) Close() error { return d.inner.Close() }

// Open is how many connections there are.
func (d *Door) Open() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.conns)
}

// Handler serves one connection. Its context is cancelled when Config.Grace is
// over, not when the drain begins.
type Handler = func(ctx context.Context, c *Conn)

// Serve accepts until ctx is cancelled and calls handle for each connection
// that may come in, in a goroutine of its own; after handle the connection is
// closed. When ctx is cancelled, each Conn's Draining is closed; connections
// that are still open after Config.Grace are closed. It returns when every
// handle has returned; its error is that of a listener that failed. A panic in
// handle ends that connection only.
func (d *Door) Serve(ctx context.Context, handle Handler) error {
	if d.cfg.Mode == TLSImplicit && d.cfg.TLS == nil {
		return errors.Join(fmt.Errorf("door: %s: implicit TLS without a certificate", d.cfg.Name), d.inner.Close())
	}
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	stop := context.AfterFunc(ctx, d.drain)
	defer stop()

	var sessions sync.WaitGroup
	err := d.accept(ctx, func(nc net.Conn) {
		if c := d.admit(nc); c != nil {
			sessions.Go(func() { d.session(work, c, handle) })
		}
	})
	d.drain()
	grace := time.AfterFunc(d.cfg.Grace, func() {
		stopWork()
		d.abort()
	})
	defer grace.Stop()
	sessions.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("door: %s: %w", d.cfg.Name, err)
}

// accept gives take the connections of the listener until that fails. It sits
// out what passes: too many open files, a client that was gone too soon.
func (d *Door) accept(ctx context.Context, take func(net.Conn)) error {
	const first, longest = 5 * time.Millisecond, time.Second
	pause := first
	for {
		nc, err := d.inner.Accept()
		if err == nil {
			pause = first
			count(d.cfg.Metrics.Connections, d.cfg.Name)
			take(nc)
			continue
		}
		if !passing(err) {
			return err
		}
		d.log.Warn("cannot accept", "listener", d.cfg.Name, "error", err)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
		pause = min(2*pause, longest)
	}
}

func passing(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ECONNABORTED, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// session is the goroutine of one connection.
func (d *Door) session(work context.Context, c *Conn, handle Handler) {
	defer d.forget(c)
	defer func() { _ = c.Close() }() // nobody is left to be told of an error
	defer func() {
		if v := recover(); v != nil {
			d.log.Error("panic in a session", "protocol", d.cfg.Protocol, "listener", d.cfg.Name, "client", c.client, "panic", v, "stack", string(debug.Stack()))
		}
	}()
	if c.proxied && !d.behindProxy(c) {
		return
	}
	if d.cfg.Mode == TLSImplicit && c.implicitTLS() != nil {
		return
	}
	handle(work, c)
}

// admit enters a connection into the registry, or says why not and closes it. A
// peer that speaks for others is counted when it has told for whom.
func (d *Door) admit(nc net.Conn) *Conn {
	c := newConn(d, nc)
	c.proxied = Contains(d.cfg.ProxyFrom, c.client.Addr())
	if reason := d.enter(c); reason != "" {
		d.refuse(c, reason)
		_ = nc.Close() // nobody is left to be told of an error
		return nil
	}
	return c
}

func (d *Door) enter(c *Conn) (reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.drained:
		return "drain"
	case len(d.conns) >= c.limits.Connections:
		return "total"
	}
	if !c.proxied {
		if reason := d.countClient(c); reason != "" {
			return reason
		}
	}
	d.conns[c] = struct{}{}
	d.countSession(1)
	return ""
}

// countClient counts c under its client; d.mu is held.
func (d *Door) countClient(c *Conn) (reason string) {
	reason = d.clients.Enter(c.client.Addr(), c.limits.ConnectionsPerIP, c.limits.RatePerIP, time.Now())
	c.counted = reason == ""
	return reason
}

// behindProxy finds out for whom a proxy speaks, and whether that one may come
// in.
func (d *Door) behindProxy(c *Conn) bool {
	behind, client, err := ReadProxy(c.raw)
	if err != nil {
		count(d.cfg.Metrics.Refused, d.cfg.Name, "proxy")
		return false
	}
	c.Conn = behind
	if client != nil {
		c.remote, c.client = client, AddrPort(client)
	}
	if err := c.raw.SetReadDeadline(time.Time{}); err != nil {
		return false
	}
	d.mu.Lock()
	reason := d.countClient(c)
	d.mu.Unlock()
	if reason != "" {
		d.refuse(c, reason)
	}
	return reason == ""
}

// refuse tells why in one line. The client has been sent nothing yet, so that
// the write does not block; the deadline is for odd networks.
func (d *Door) refuse(c *Conn, reason string) {
	count(d.cfg.Metrics.Refused, d.cfg.Name, reason)
	if d.cfg.Mode != TLSImplicit && d.cfg.Refusal != nil {
		_ = c.raw.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = c.raw.Write([]byte(d.cfg.Refusal(reason))) // best effort
	}
}

// forget takes c out of the registry.
func (d *Door) forget(c *Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.conns, c)
	if c.counted {
		d.clients.Leave(c.client.Addr(), c.limits.RatePerIP)
	}
	d.countSession(-1)
}

// drain stops accepting and makes every Conn end between two commands.
func (d *Door) drain() {
	_ = d.inner.Close() // an error leaves nothing to do
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.drained {
		return
	}
	d.drained = true
	close(d.draining)
	for c := range d.conns {
		c.wake()
	}
}

// abort closes every socket under its conversation.
func (d *Door) abort() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.conns {
		c.Abort()
	}
}
