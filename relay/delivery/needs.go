package delivery

import (
	"context"
	"net"
	"net/netip"

	"tenma/relay/mail"
)

// Resolver finds the addresses of a host, IPv6 and IPv4, in the order to try.
// An error is told apart by package dnscache's sentinels as text only: a host
// that surely does not exist satisfies IsNotFound.
type Resolver interface {
	LookupAddrs(ctx context.Context, host string) ([]netip.Addr, error)
	IsNotFound(err error) bool
}

// Dialer opens connections. local is the address to dial from, zero for any.
type Dialer interface {
	Dial(ctx context.Context, local netip.Addr, to netip.AddrPort) (net.Conn, error)
}

// Guard answers how safe a connection to a host of a route must be. An error
// says why the host may not be used for this mail: an *smtp.Error.
type Guard interface {
	Demand(ctx context.Context, r *mail.Route, h *mail.Host, wish mail.TLSWish) (mail.Safety, error)
	// Cached is Demand without waiting: ok is false if it would have to wait, and
	// if the host may not be used.
	Cached(r *mail.Route, h *mail.Host, wish mail.TLSWish) (s mail.Safety, ok bool)
}

// Results takes what became of the protection of each session, for counting and
// for reports (RFC 8460). It does not wait.
type Results interface{ Count(r *mail.TLSResult) }

// Renderer makes other forms of messages.
type Renderer interface {
	// SevenBit gives the message of an attempt as a host without 8BITMIME can
	// take it, signed as such. Its errors wrap an *smtp.Error: a permanent one
	// where there is no such form or none is wanted, else mail has to wait.
	SevenBit(ctx context.Context, a *mail.Attempt) (mail.Rendition, error)
	// ShortLines gives the message in lines of at most 998 octets, or as it is
	// where that is better. Its errors say that mail has to wait.
	ShortLines(ctx context.Context, a *mail.Attempt) (mail.Rendition, error)
}
