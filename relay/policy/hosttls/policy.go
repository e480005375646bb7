package hosttls

import (
	"context"
	"crypto/tls"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"tenma/dnscache"
	"tenma/relay/mail"
	"tenma/relay/wire/mtasts"
	"tenma/relay/wire/smtp"
	"tenma/relay/wire/tlsrpt"
)

const (
	// maxPolicies bounds the domains with a policy in memory, and those whose
	// policy could not be had. Past it any makes room.
	maxPolicies = 1 << 16
	// absence is how long a domain counts as without policy. Domains expect
	// senders to look now and then; a day is usual.
	absence = 15 * time.Minute
	// leastLook and mostLook bound the time between two looks at the record of a
	// domain that has a policy.
	leastLook = 5 * time.Minute
	mostLook  = time.Hour
	// retryFetch is how long a policy that could not be had is let be (RFC 8461
	// section 3.3 suggests it).
	retryFetch = 5 * time.Minute
	// A policy in use is fetched again when it is refreshAge old, or when half
	// its time is over, so that it does not end because its host is down at the
	// wrong moment (RFC 8461 section 3.3; section 10.2 says why: an end is an
	// opening for whoever forges the DNS). It is looked for each refreshEvery.
	refreshAge   = 24 * time.Hour
	refreshEvery = 10 * time.Minute
	// fetchTurns is how often a fetch is begun for one who waits, where others
	// began it and were cancelled.
	fetchTurns = 4
	// refreshers is how many are fetched at a time.
	refreshers = 4
)

// policies remembers the policies of domains.
type policies struct {
	mu     sync.Mutex
	by     map[smtp.Domain]*entry
	failed map[smtp.Domain]time.Time // until when not to fetch
	octets int                       // of the texts of by

	changed atomic.Bool // since they were saved
}

// entry is one policy. It is under the lock of policies but for policy itself,
// which does not change.
type entry struct {
	policy  *mtasts.Policy
	id      string // of the record, when it was fetched
	fetched time.Time
	look    time.Time // when to look at the record again
	used    bool      // since it was fetched
	octets  int
}

// ends is when the policy is over.
func (e *entry) ends() time.Time { return e.fetched.Add(max(e.policy.MaxAge, leastLook)) }

// use gives a copy of what is known, without policy if that is over.
func (s *policies) use(d smtp.Domain, now time.Time) entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.by[d]
	if e == nil || !now.Before(e.ends()) {
		return entry{}
	}
	e.used = true
	return *e
}

// looked notes that the record says nothing new.
func (s *policies) looked(d smtp.Domain, again time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.by[d]; e != nil {
		e.look = again
	}
}

func (s *policies) put(d smtp.Domain, e *entry) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by == nil {
		s.by = map[smtp.Domain]*entry{}
	}
	s.drop(d)
	e.octets = len(e.policy.String())
	for old := range s.by { // any: it is fetched again
		if len(s.by) < maxPolicies && s.octets+e.octets <= maxKept {
			break
		}
		s.drop(old)
	}
	s.by[d] = e
	s.octets += e.octets
	delete(s.failed, d)
	s.changed.Store(true)
	return len(s.by)
}

// drop forgets a policy; s.mu is held.
func (s *policies) drop(d smtp.Domain) {
	if e := s.by[d]; e != nil {
		s.octets -= e.octets
		delete(s.by, d)
		s.changed.Store(true)
	}
}

// fail notes that the policy could not be had.
func (s *policies) fail(d smtp.Domain, again time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == nil {
		s.failed = map[smtp.Domain]time.Time{}
	}
	for old := range s.failed {
		if len(s.failed) < maxPolicies {
			break
		}
		delete(s.failed, old)
	}
	s.failed[d] = again
	if e := s.by[d]; e != nil {
		e.look = again
	}
}

// waits gives until when a policy that could not be had is let be.
func (s *policies) waits(d smtp.Domain) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed[d]
}

// due drops what is over and gives the domains whose policies are to be fetched
// again, with the ids of their records, and how many policies are left.
func (s *policies) due(now time.Time) (again map[smtp.Domain]string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	again = map[smtp.Domain]string{}
	for d, e := range s.by {
		switch {
		case !now.Before(e.ends()):
			s.drop(d)
		case e.used && now.Sub(e.fetched) >= min(refreshAge, e.policy.MaxAge/2) && !now.Before(s.failed[d]):
			again[d] = e.id
		}
	}
	for d, until := range s.failed {
		if !now.Before(until) {
			delete(s.failed, d)
		}
	}
	return again, len(s.by)
}

// Policy gives what domain d says by MTA-STS, nil for nothing, and for how long
// that holds. It waits for the DNS, and where the policy is new for its host, as
// long as ctx lets it. That a policy cannot be had is no hindrance to mail: an
// older one holds to its end, and without one the domain has none (RFC 8461
// section 5.1).
func (a *Adviser) Policy(ctx context.Context, d smtp.Domain) (*mtasts.Policy, time.Duration) {
	if a.config.Load().NoSTS || d == "" || d.IsLiteral() {
		return nil, refreshAge
	}
	now := time.Now()
	e := a.policies.use(d, now)
	if e.policy != nil && now.Before(e.look) {
		return e.policy, min(e.look.Sub(now), e.ends().Sub(now))
	}
	texts, err := a.deps.Resolver.LookupTXT(ctx, mtasts.RecordName(string(d)))
	var id string
	if err == nil {
		id, err = mtasts.ParseRecord(texts.Records)
	}
	now = time.Now()
	look := min(max(texts.TTL, leastLook), mostLook)
	switch {
	case e.policy != nil && (err != nil || id == e.id):
		a.policies.looked(d, now.Add(look))
		return e.policy, min(look, e.ends().Sub(now))
	case ctx.Err() != nil:
		return nil, minLife
	case errors.Is(err, dnscache.ErrTemporary):
		return nil, leastLook // some name servers never answer for names like this
	case err != nil:
		return nil, max(texts.TTL, absence)
	}
	if until := a.policies.waits(d); now.Before(until) {
		return e.policy, until.Sub(now)
	}
	return a.fetch(ctx, d, id)
}

// fetch fetches a policy, once for all who wait for it. Where the one who fetches
// is cancelled, one of the others begins again.
func (a *Adviser) fetch(ctx context.Context, d smtp.Domain, id string) (p *mtasts.Policy, holds time.Duration) {
	for range fetchTurns {
		_, _, _ = a.fetching.Do(string(d), func() (any, error) {
			a.refetch(ctx, d, id)
			return nil, nil
		})
		now := time.Now()
		p = a.policies.use(d, now).policy
		switch {
		case ctx.Err() != nil:
			return p, minLife
		case p != nil, now.Before(a.policies.waits(d)):
			return p, leastLook
		}
	}
	return nil, minLife
}

// refetch fetches a policy and remembers what came of it.
func (a *Adviser) refetch(ctx context.Context, d smtp.Domain, id string) {
	p, err := a.download(ctx, d)
	now, fault := time.Now(), tlsrpt.FaultFetch
	switch {
	case err == nil:
		a.deps.Metrics.Fetches.WithLabelValues("ok").Inc()
		n := a.policies.put(d, &entry{policy: p, id: id, fetched: now, look: now.Add(leastLook)})
		a.deps.Metrics.Policies.Set(float64(n))
		return
	case ctx.Err() != nil:
		return // we are stopping: it says nothing about the domain
	case errors.Is(err, mtasts.ErrPolicy):
		fault = tlsrpt.FaultPolicy
		a.deps.Metrics.Fetches.WithLabelValues("invalid").Inc()
	case certificateError(err):
		fault = tlsrpt.FaultFetchWebPKI
		fallthrough
	default:
		a.deps.Metrics.Fetches.WithLabelValues("failed").Inc()
	}
	if a.deps.Results != nil {
		a.deps.Results(&mail.TLSResult{Domain: d, Policy: tlsrpt.PolicySTS, Fault: fault, Detail: err.Error()})
	}
	a.policies.fail(d, now.Add(retryFetch))
	a.deps.Log.Info("the MTA-STS policy of a domain cannot be had", "domain", string(d), "error", err)
}

// certificateError reports that the host of a policy showed a certificate that
// does not prove it to be that (RFC 8460 section 4.3.2.2).
func certificateError(err error) bool {
	_, ok := errors.AsType[*tls.CertificateVerificationError](err)
	return ok
}

// refresh fetches policies in use again before they end, and drops those that
// are over.
func (a *Adviser) refresh(ctx context.Context) {
	again, n := a.policies.due(time.Now())
	a.deps.Metrics.Policies.Set(float64(n))
	var g errgroup.Group
	g.SetLimit(refreshers)
	for d, id := range again {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			a.refetch(ctx, d, id)
			return nil
		})
	}
	_ = g.Wait() // none fails
}
