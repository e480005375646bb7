package route

import (
	"context"
	"net/netip"

	"tenma/dnscache"
)

// Resolver is what the adviser needs of package dnscache.
type Resolver interface {
	LookupMX(ctx context.Context, domain string) (dnscache.Answer[dnscache.MX], error)
	LookupAddrs(ctx context.Context, host string) (dnscache.Answer[netip.Addr], error)
}
