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
