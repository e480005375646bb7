package relaytest

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"tenma/bench/internet/fakenet"
	"tenma/dnscache/dnstest"
)

// host is the relay's own side of the network: everything it opens goes
// through here, so that kill can cut it off at once.
type host struct {
	net *fakenet.Net
	dns *dnstest.Server

	mu        sync.Mutex
	dead      bool
	open      map[net.Conn]bool
	listeners []net.Listener
}

func newHost(n *fakenet.Net, dns *dnstest.Server) *host {
	return &host{net: n, dns: dns, open: map[net.Conn]bool{}}
}

// Listen is net.Listen on the fake network.
func (h *host) Listen(network, address string) (net.Listener, error) {
	l, err := h.net.Listen(network, address)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.listeners = append(h.listeners, l)
	return hostListener{l, h}, nil
}

// Dial is delivery's Dialer.
func (h *host) Dial(ctx context.Context, local netip.Addr, to netip.AddrPort) (net.Conn, error) {
	c, err := h.net.Dial(ctx, local, to)
	return h.track(c, err)
}

// DialDNS reaches the world's DNS, whatever the address.
func (h *host) DialDNS(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := h.dns.Dial(ctx, network, address)
	return h.track(c, err)
}

// DialFilter reaches a mail filter.
func (h *host) DialFilter(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := h.net.DialContext(ctx, network, address)
	return h.track(c, err)
}

func (h *host) track(c net.Conn, err error) (net.Conn, error) {
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.dead {
		c.Close()
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ENETDOWN}
	}
	h.open[c] = true
	return hostConn{c, h}, nil
}

// kill breaks every connection and refuses new ones.
func (h *host) kill() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dead = true
	for c := range h.open {
		if r, ok := c.(interface{ Reset() }); ok {
			r.Reset()
		}
		c.Close()
	}
	for _, l := range h.listeners {
		l.Close()
	}
}

type hostListener struct {
	net.Listener
	h *host
}

func (l hostListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return l.h.track(c, err)
}

type hostConn struct {
	net.Conn
	h *host
}

func (c hostConn) Close() error {
	c.h.mu.Lock()
	delete(c.h.open, c.Conn)
	c.h.mu.Unlock()
	return c.Conn.Close()
}
