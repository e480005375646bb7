package verdict

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"tenma/metrics"
	"tenma/relay/mail"
	"tenma/relay/wire/authres"
	"tenma/relay/wire/header"
)

// Adviser judges messages. It may be used from any goroutine.
type Adviser struct {
	config atomic.Pointer[Config]
	deps   Deps
}

// New makes an Adviser.
func New(c Config, d Deps) *Adviser {
	if d.Metrics == nil {
		d.Metrics = metrics.New(prometheus.NewRegistry()).Verdict
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Percent == nil {
		d.Percent = func() int { return 0 }
	}
	a := &Adviser{deps: d}
	a.Apply(c)
	return a
}

// Apply puts another configuration in force, for messages that begin later.
func (a *Adviser) Apply(c Config) {
	c = c.withDefaults()
	a.config.Store(&c)
}

// Begin gives an Inspection of a message that begins to arrive, nil for one that is
// not to be looked at.
func (a *Adviser) Begin(ctx context.Context, e *mail.Envelope) *Inspection {
	c := a.config.Load()
	if c.Off || !stranger(e) {
		return nil
	}
	return &Inspection{adviser: a, config: c, ctx: ctx, e: e}
}

// stranger reports mail of which nobody has vouched yet for where it comes from.
// What comes by LMTP is from a relay of ours, whose address says nothing.
func stranger(e *mail.Envelope) bool {
	return !e.Trusted && e.Account == "" && e.Origin == mail.FromSMTP && !e.LMTP
}

// Forged reports a field by which somebody gives itself verdicts in our name. Nobody
// behind us could tell it from ours (RFC 8601 section 5). Hosts that may relay by
// their address may be filters of ours, through which mail comes a second time.
func (a *Adviser) Forged(e *mail.Envelope, f header.Field) bool {
	return (stranger(e) || e.Account != "") && f.Is("Authentication-Results") && authres.Claims(string(f.Value()), a.config.Load().Hostname)
}
