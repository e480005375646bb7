package hosttls

import (
	"context"
	"net"
	"net/netip"

	"tenma/dnscache"
)

// Resolver is what the adviser needs of package dnscache.
type Resolver interface {
	LookupAddrs(ctx context.Context, host string) (dnscache.Answer[netip.Addr], error)
	LookupTLSA(ctx context.Context, name string) (dnscache.Answer[dnscache.TLSA], error)
	LookupTXT(ctx context.Context, name string) (dnscache.Answer[string], error)
	Validates(ctx context.Context, zone string) error
}

// Keeper keeps policies over a restart.
type Keeper interface {
	Load() ([]byte, error) // what was saved last, nothing if nothing was
	Save(text []byte) error
}

// Dialer opens connections to the hosts of policies.
type Dialer interface {
	Dial(ctx context.Context, local netip.Addr, to netip.AddrPort) (net.Conn, error)
}
