package verdict

import (
	"context"
	"net/netip"

	"tenma/dnscache"
)

// Resolver is what the adviser needs of package dnscache.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) (dnscache.Answer[string], error)
	LookupMX(ctx context.Context, domain string) (dnscache.Answer[dnscache.MX], error)
	LookupAddrs(ctx context.Context, host string) (dnscache.Answer[netip.Addr], error)
	LookupPTR(ctx context.Context, addr netip.Addr) (dnscache.Answer[string], error)
}
