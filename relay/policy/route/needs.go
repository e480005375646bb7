package route

import (
	"context"
	"net/netip"
	"time"

	"tenma/dnscache"
	"tenma/relay/wire/mtasts"
	"tenma/relay/wire/smtp"
)

// Resolver is what the adviser needs of package dnscache.
type Resolver interface {
	LookupMX(ctx context.Context, domain string) (dnscache.Answer[dnscache.MX], error)
	LookupAddrs(ctx context.Context, host string) (dnscache.Answer[netip.Addr], error)
}

// Policies knows what domains say by MTA-STS: nil for nothing, and for how long
// that holds. It is asked here, where only the domain waits, and not when a
// connection is opened, where others of its lane would.
type Policies interface {
	Policy(ctx context.Context, d smtp.Domain) (*mtasts.Policy, time.Duration)
}
