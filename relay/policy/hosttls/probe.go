package hosttls

import (
	"context"
	"errors"
	"time"

	"tenma/dnscache"
)

// What is known about the resolver.
const (
	proofNone int32 = iota // it has not answered
	proofInsecure
	proofSecure
)

// How often the resolver is probed: now and then, and soon again while it does
// not answer.
const (
	probeEvery = 15 * time.Minute
	probeAgain = 30 * time.Second
)

// validates reports whether the resolver is shown to validate, and finds out
// where nobody knows. Silence shows nothing: what was known goes on to hold.
func (a *Adviser) validates(ctx context.Context) bool {
	if p := a.proof.Load(); p != proofNone {
		return p == proofSecure
	}
	_, _, _ = a.probing.Do("", func() (any, error) {
		a.probe(ctx)
		return nil, nil
	})
	return a.proof.Load() == proofSecure
}

// probe asks the resolver.
func (a *Adviser) probe(ctx context.Context) {
	err := a.deps.Resolver.Validates(ctx, a.config.Load().Probe)
	m := a.deps.Metrics
	switch {
	case err == nil:
		m.Probes.WithLabelValues("secure").Inc()
		m.Validates.Set(1)
		a.proof.Store(proofSecure)
	case errors.Is(err, dnscache.ErrInsecure):
		m.Probes.WithLabelValues("insecure").Inc()
		m.Validates.Set(0)
		a.proof.Store(proofInsecure)
	default:
		m.Probes.WithLabelValues("silent").Inc()
	}
	a.tell(err)
}

// tell logs a change of what is known.
func (a *Adviser) tell(err error) {
	now := a.proof.Load()
	was := a.told.Swap(now)
	switch {
	case was == now:
	case now == proofSecure:
		a.deps.Log.Info("the resolver validates: DANE is used")
	case was == proofSecure:
		a.deps.Log.Warn("the resolver does not validate any more: DANE is not used", "error", err)
	default:
		a.deps.Log.Info("the resolver is not shown to validate: DANE is not used", "reason", err)
	}
}

// Run probes the resolver, and keeps policies fresh and over a restart, until ctx
// is cancelled; its error is nil.
func (a *Adviser) Run(ctx context.Context) error {
	probe, refresh := time.NewTimer(0), time.NewTimer(refreshEvery)
	defer probe.Stop()
	defer refresh.Stop()
	for {
		select {
		case <-ctx.Done():
			a.save()
			return nil
		case <-a.wake:
			probe.Reset(0)
		case <-probe.C:
			next := probeEvery
			if !a.config.Load().NoDANE {
				a.probe(ctx)
				if a.proof.Load() == proofNone {
					next = probeAgain
				}
			}
			probe.Reset(next)
		case <-refresh.C:
			a.refresh(ctx)
			a.save()
			refresh.Reset(refreshEvery)
		}
	}
}
