package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tenma/relay/delivery/client"
	"tenma/relay/delivery/handshake"
	"tenma/relay/mail"
	"tenma/relay/wire/tlsrpt"
)

// plainGuard is for a Client without Guard: the route's demand, and for
// REQUIRETLS a host that shows who it is (RFC 8689 section 4.2.1).
type plainGuard struct{}

func (g plainGuard) Demand(_ context.Context, r *mail.Route, h *mail.Host, wish mail.TLSWish) (mail.Safety, error) {
	s, _ := g.Cached(r, h, wish)
	return s, nil
}

func (plainGuard) Cached(r *mail.Route, _ *mail.Host, wish mail.TLSWish) (s mail.Safety, ok bool) {
	s.TLS = r.TLS
	if wish == mail.WishRequired && (s.TLS == mail.TLSOpportunistic || s.TLS == mail.TLSRequired) {
		s.TLS = mail.TLSVerified
	}
	return s, true
}

// demand finds out how safe connections to h must be. The error says why it may
// not be used.
func (o *opening) demand(h *mail.Host) (err error) {
	a := o.job.a
	start := time.Now()
	o.safety, err = o.client.deps.Guard.Demand(o.ctx, &a.Route, h, a.Envelope.TLSWish())
	o.phases.DNS += time.Since(start)
	fault := tlsrpt.FaultNone
	if errors.As(err, &fault) {
		if fault == tlsrpt.FaultDNSSEC {
			o.safety = mail.Safety{TLS: mail.TLSDANE, Policy: tlsrpt.PolicyDANE}
		}
		o.result(&place{host: h.Name}, fault, err)
	}
	return err
}

// report tells what became of the protection of a session. err is what was
// wrong, even if the session was taken all the same; where nothing is demanded
// of certificates, none is at fault.
func (o *opening) report(at *place, err error) {
	switch {
	case err != nil:
	case o.safety.Unlisted:
		err = tlsrpt.FaultUnlisted
	case o.safety.Unusable:
		err = fmt.Errorf("%w: none of the records can be used", tlsrpt.FaultTLSA) // RFC 8460 section 4.3.2.1
	}
	o.result(at, handshake.FaultOf(err), err)
}

func (o *opening) result(at *place, fault tlsrpt.Fault, err error) {
	if o.client.deps.Results == nil {
		return
	}
	r := &mail.TLSResult{
		Domain: o.job.a.Route.Domain, Policy: o.safety.Policy, Testing: o.safety.Testing, DANE: o.safety.DANE,
		Host: at.host, Peer: at.peer, Local: at.local, Fault: fault, Private: o.key.kind != mail.ByMX || o.job.a.Envelope.OptionalTLS,
	}
	if r.Policy == tlsrpt.PolicySTS {
		r.STS = o.job.a.Route.STS
	}
	if err != nil {
		r.Detail = client.Clean(err.Error())
	}
	o.client.deps.Results.Count(r)
}
