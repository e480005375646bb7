package hosttls

import (
	"context"
	"errors"
	"sync"
	"time"

	"tenma/dnscache"
	"tenma/relay/mail"
	"tenma/relay/wire/dane"
)

const (
	// maxHosts bounds the hosts of which something is remembered. Past it the
	// DNS cache answers, a little slower.
	maxHosts = 1 << 14
	// minLife and maxLife bound how long it is remembered.
	minLife = 5 * time.Second
	maxLife = time.Hour
	// smtpPort is that of a host without one.
	smtpPort = 25
)

// hosts remembers what TLSA records say, by host and port.
type hosts struct {
	mu sync.Mutex
	by map[hostPort]known
}

type hostPort struct {
	name string
	port uint16
}

type known struct {
	tlsa
	until time.Time
}

func portOf(h *mail.Host) uint16 {
	if h.Port == 0 {
		return smtpPort
	}
	return h.Port
}

func (s *hosts) find(h *mail.Host) (tlsa, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.by[hostPort{h.Name, portOf(h)}]
	return k.tlsa, ok && time.Now().Before(k.until)
}

func (s *hosts) put(h *mail.Host, t tlsa, life time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by == nil {
		s.by = map[hostPort]known{}
	}
	for k := range s.by { // any: forgetting costs a look into the DNS cache
		if len(s.by) < maxHosts {
			break
		}
		delete(s.by, k)
	}
	s.by[hostPort{h.Name, portOf(h)}] = known{t, time.Now().Add(min(max(life, minLife), maxLife))}
}

func (s *hosts) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.by = nil
}

// tlsa finds out what TLSA records say about a host. An error says that they
// could not be had, and that nobody knows whether there are any.
func (a *Adviser) tlsa(ctx context.Context, h *mail.Host) (tlsa, error) {
	if t, ok := a.hosts.find(h); ok {
		return t, nil
	}
	t, life, err := a.lookUp(ctx, h)
	result := "usable"
	switch {
	case err != nil:
		result = "failed"
	case !t.found:
		result = "none"
	case t.set == nil:
		result = "unusable"
	}
	a.deps.Metrics.TLSA.WithLabelValues(result).Inc()
	if err == nil {
		a.hosts.put(h, t, life)
	}
	return t, err
}

// lookUp asks the DNS. TLSA records are asked for only where the host's
// addresses are validated: some name servers of unsigned zones drop questions
// for types that they do not know, and their hosts would never get mail (RFC
// 7672 section 2.1.2).
func (a *Adviser) lookUp(ctx context.Context, h *mail.Host) (tlsa, time.Duration, error) {
	addrs, err := a.deps.Resolver.LookupAddrs(ctx, h.Name)
	switch {
	case errors.Is(err, dnscache.ErrNotFound), errors.Is(err, dnscache.ErrNoData):
		return tlsa{}, addrs.TTL, nil // nobody will connect to it
	case err != nil:
		return tlsa{}, 0, err
	}
	life := addrs.TTL
	var bases []string
	if addrs.Canonical != "" && addrs.Secure {
		bases = append(bases, addrs.Canonical)
	}
	if addrs.Canonical != "" || addrs.Secure {
		bases = append(bases, h.Name) // an alias may be signed though what it leads to is not (RFC 7672 section 2.2.2)
	}
	for _, base := range bases {
		answer, err := a.deps.Resolver.LookupTLSA(ctx, dane.Name(base, portOf(h)))
		switch {
		case err == nil && answer.Secure:
			return tlsa{found: true, set: dane.New(recordsOf(answer.Records), base, h.Name)}, min(life, answer.TTL), nil
		case err == nil, errors.Is(err, dnscache.ErrNotFound), errors.Is(err, dnscache.ErrNoData):
			life = min(life, answer.TTL)
		default:
			return tlsa{}, 0, err
		}
	}
	return tlsa{}, life, nil
}

func recordsOf(in []dnscache.TLSA) []dane.Record {
	out := make([]dane.Record, len(in))
	for i, r := range in {
		out[i] = dane.Record{Usage: r.Usage, Selector: r.Selector, MatchingType: r.MatchingType, Data: r.Data}
	}
	return out
}
