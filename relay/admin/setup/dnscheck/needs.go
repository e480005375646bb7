package dnscheck

import (
	"context"
	"crypto/x509"
	"net/netip"

	"tenma/dnscache"
	"tenma/relay/wire/mtasts"
)

// Resolver asks the DNS. Errors wrap those of package dnscache.
type Resolver interface {
	LookupMX(ctx context.Context, domain string) (dnscache.Answer[dnscache.MX], error)
	LookupAddrs(ctx context.Context, host string) (dnscache.Answer[netip.Addr], error)
	LookupTXT(ctx context.Context, name string) (dnscache.Answer[string], error)
	LookupPTR(ctx context.Context, addr netip.Addr) (dnscache.Answer[string], error)
	LookupTLSA(ctx context.Context, name string) (dnscache.Answer[dnscache.TLSA], error)
}

// Prober looks at what is not in the DNS, but must fit to it.
type Prober interface {
	// Policy fetches a domain's MTA-STS policy by HTTPS, the certificate checked.
	Policy(ctx context.Context, domain string) (*mtasts.Policy, error)
	// Chain gives the certificates that the mail host shows at port 25, unchecked.
	Chain(ctx context.Context, host string) ([]*x509.Certificate, error)
}
