package hosttls

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"

	"golang.org/x/sync/singleflight"

	"tenma/metrics"
	"tenma/relay/mail"
	"tenma/relay/wire/tlsrpt"
)

// Config is what an Adviser is told.
type Config struct {
	NoDANE bool   // TLSA records are not asked for
	NoSTS  bool   // policies are not asked for
	Probe  string // the signed zone by which the resolver shows that it validates; "": the root
	// PrivateDestinations: policies may be fetched from loopback and private
	// addresses.
	PrivateDestinations bool
}

// Deps are what an Adviser works with.
type Deps struct {
	Resolver Resolver
	Dialer   Dialer                // nil: the system's
	Public   func(netip.Addr) bool // an address that strangers' names may lead to
	Roots    *x509.CertPool        // that vouch for the hosts of policies; nil: the system's
	Keeper   Keeper                // nil: a restart forgets the policies
	Results  func(*mail.TLSResult) // takes policies that could not be had, for reports; does not wait; nil: nobody does
	Metrics  *metrics.HostTLS
	Log      *slog.Logger // nil: silence
}

// Adviser knows how safe connections must be. Its methods may be called from any
// goroutine.
type Adviser struct {
	deps    Deps
	config  atomic.Pointer[Config]
	wake    chan struct{} // capacity 1: Run is to probe now
	probing singleflight.Group
	proof   atomic.Int32 // whether the resolver validates: a proof...
	told    atomic.Int32 // the proof that the log knows

	hosts    hosts
	policies policies
	fetching singleflight.Group
	slots    chan struct{} // one token per fetch under way
	client   *http.Client
}

// New builds an Adviser, which knows the policies that were kept.
func New(cfg Config, deps Deps) *Adviser {
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	a := &Adviser{deps: deps, wake: make(chan struct{}, 1), slots: make(chan struct{}, maxFetches)}
	a.client = a.newClient()
	a.config.Store(&cfg)
	a.load()
	return a
}

// Apply changes the configuration. What is known of hosts is forgotten, and the
// resolver is probed again: it may be another one.
func (a *Adviser) Apply(cfg Config) {
	a.config.Store(&cfg)
	a.proof.Store(proofNone)
	a.hosts.clear()
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// Demand answers how safe a connection to h, a host of r, must be. It waits for
// the DNS as long as ctx lets it. An error says why the host may not be used for
// this mail: an *smtp.Error, temporary or not.
func (a *Adviser) Demand(ctx context.Context, r *mail.Route, h *mail.Host, wish mail.TLSWish) (mail.Safety, error) {
	var t tlsa
	if a.asksTLSA(r, h, wish) && a.validates(ctx) {
		var err error
		if t, err = a.tlsa(ctx, h); err != nil {
			return mail.Safety{}, noRecords(h, err)
		}
	}
	return decide(r, h, wish, t)
}

// Cached is Demand without waiting: ok is false where the DNS would have to be
// asked, and where the host may not be used.
func (a *Adviser) Cached(r *mail.Route, h *mail.Host, wish mail.TLSWish) (s mail.Safety, ok bool) {
	var t tlsa
	if a.asksTLSA(r, h, wish) && a.proof.Load() != proofInsecure {
		if t, ok = a.hosts.find(h); !ok {
			return s, false
		}
	}
	s, err := decide(r, h, wish, t)
	return s, err == nil
}

// asksTLSA reports whether TLSA records of the host would count: the way to its
// name is validated, and neither the configuration nor the message's sender has
// answered the question. LMTP has no DANE.
func (a *Adviser) asksTLSA(r *mail.Route, h *mail.Host, wish mail.TLSWish) bool {
	open := (r.TLS == mail.TLSOpportunistic || r.TLS == mail.TLSRequired) && wish != mail.WishOptional || r.TLS == mail.TLSDANE
	return open && r.Secure && !r.LMTP && !h.Addr.IsValid() && !a.config.Load().NoDANE
}

// Count counts what came of a session.
func (a *Adviser) Count(r *mail.TLSResult) {
	policy := map[tlsrpt.Policy]string{tlsrpt.PolicyNone: "none", tlsrpt.PolicySTS: "sts", tlsrpt.PolicyDANE: "tlsa"}[r.Policy]
	if r.Testing {
		policy = "sts-testing"
	}
	result := "other"
	switch r.Fault {
	case tlsrpt.FaultNone:
		result = "ok"
	case tlsrpt.FaultNoSTARTTLS:
		result = "no-starttls"
	case tlsrpt.FaultName, tlsrpt.FaultExpired, tlsrpt.FaultUntrusted:
		result = "certificate"
	case tlsrpt.FaultTLSA, tlsrpt.FaultNoTLSA:
		result = "tlsa"
	case tlsrpt.FaultDNSSEC:
		result = "dnssec"
	case tlsrpt.FaultUnlisted:
		result = "unlisted"
	case tlsrpt.FaultRemembered:
		result = "plaintext"
	}
	a.deps.Metrics.Sessions.WithLabelValues(policy, result).Inc()
}
