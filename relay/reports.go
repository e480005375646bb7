package relay

import (
	"net/netip"

	"tenma/metrics"
	"tenma/relay/config"
	"tenma/relay/delivery/dial"
	"tenma/relay/mail"
	"tenma/relay/policy/hosttls"
	"tenma/relay/policy/hosttls/web"
	"tenma/relay/tlsrpt"
)

// results gives what became of the TLS of sessions to all who want it.
type results struct {
	hosttls *hosttls.Adviser
	tlsrpt  *tlsrpt.Stage
}

func (r results) Count(result *mail.TLSResult) {
	r.hosttls.Count(result)
	r.tlsrpt.Count(result)
}

// newReports makes the stage that tells domains of the TLS of our sessions.
func (r *Relay) newReports(o Options, m *metrics.Set) {
	way := web.Way{
		Resolver: r.dns, Dialer: o.Dialer, Roots: o.Roots,
		Allowed: func(a netip.Addr) bool { return r.privateDestinations() || dial.Public(a) },
	}
	verified := web.NewClient(way)
	way.Unverified = true
	r.tlsrpt = tlsrpt.New(o.Config.TLSRPT, tlsrpt.Deps{
		Resolver: r.dns, Verified: verified, Unverified: web.NewClient(way),
		Outbox:  &outbox{spool: r.spool, record: r.maillog, random: o.Random},
		Keeper:  &keep{fs: o.FS, dir: o.Config.DataDir, name: config.TLSRPTFile},
		Metrics: m.TLSRPT, Log: o.Log, Seed: o.Seed + 2,
	})
}

// privateDestinations reports that names of strangers may lead to private
// addresses.
func (r *Relay) privateDestinations() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.config.HostTLS.PrivateDestinations
}
