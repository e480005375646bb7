// Package fakenet is a network in memory for tests: stream connections with
// 64 KiB of buffer each way, deadlines, refused and reset connections, and
// addresses of any kind. It blocks only on condition variables and timers, so
// that it works inside a testing/synctest bubble.
package fakenet

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Net is one network. The zero value is not ready; use New.
type Net struct {
	mu        sync.Mutex
	listeners map[netip.AddrPort]*listener
	nextPort  uint16
	blackhole map[netip.Addr]bool
	latency   time.Duration
}

// New makes an empty network.
func New() *Net {
	return &Net{listeners: map[netip.AddrPort]*listener{}, nextPort: 40000, blackhole: map[netip.Addr]bool{}}
}

// Blackhole makes connections to a hang until their context ends, as a
// firewall does that drops packets.
func (n *Net) Blackhole(a netip.Addr, on bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.blackhole[a] = on
}

// SetLatency delays each Dial by d.
func (n *Net) SetLatency(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.latency = d
}

// Listen listens on a literal IP address and port; port 0 chooses one. Its
// signature is that of net.Listen.
func (n *Net) Listen(network, address string) (net.Listener, error) {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if ap.Port() == 0 {
		ap = netip.AddrPortFrom(ap.Addr(), n.port())
	}
	if n.listeners[ap] != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: syscall.EADDRINUSE}
	}
	l := &listener{net: n, addr: ap, queue: make(chan net.Conn, 128), closed: make(chan struct{})}
	n.listeners[ap] = l
	return l, nil
}

// port gives the next ephemeral port; n.mu is held.
func (n *Net) port() uint16 {
	n.nextPort++
	if n.nextPort < 40000 {
		n.nextPort = 40000
	}
	return n.nextPort
}

// Dial connects to a listener. local is the address to come from, zero for one
// that fits.
func (n *Net) Dial(ctx context.Context, local netip.Addr, to netip.AddrPort) (net.Conn, error) {
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(to), Err: err}
	}
	n.mu.Lock()
	if !local.IsValid() {
		local = netip.AddrFrom4([4]byte{192, 0, 2, 1})
		if to.Addr().Is6() {
			local = netip.MustParseAddr("2001:db8::1")
		}
		if to.Addr().IsLoopback() {
			local = to.Addr()
		}
	}
	from := netip.AddrPortFrom(local, n.port())
	l, hole, wait := n.listeners[to], n.blackhole[to.Addr()], n.latency
	n.mu.Unlock()
	if hole {
		<-ctx.Done()
		return fail(context.Cause(ctx))
	}
	if wait > 0 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return fail(context.Cause(ctx))
		}
	}
	if l == nil {
		return fail(syscall.ECONNREFUSED)
	}
	client, server := Pipe(from, to)
	select {
	case l.queue <- server:
		return client, nil
	case <-l.closed:
		return fail(syscall.ECONNREFUSED)
	case <-ctx.Done():
		return fail(context.Cause(ctx))
	}
}

// DialContext is Dial with the signature of net.Dialer.DialContext; address
// must be a literal IP address and port.
func (n *Net) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return nil, err
	}
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("port of %q: %w", address, err)
	}
	return n.Dial(ctx, netip.Addr{}, netip.AddrPortFrom(a, uint16(p)))
}

type listener struct {
	net    *Net
	addr   netip.AddrPort
	queue  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		return c, nil
	default:
	}
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
	}
}

// Close refuses what waits in the queue, as a kernel resets it.
func (l *listener) Close() error {
	l.once.Do(func() {
		l.net.mu.Lock()
		delete(l.net.listeners, l.addr)
		l.net.mu.Unlock()
		close(l.closed)
		for {
			select {
			case c := <-l.queue:
				c.(*conn).Reset()
			default:
				return
			}
		}
	})
	return nil
}

func (l *listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.addr) }
