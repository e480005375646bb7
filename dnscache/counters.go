package dnscache

import (
	"errors"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"tenma/metrics"
)

// counters are the labelled collectors that the hot path uses, found once.
type counters struct {
	hit, miss, joined, stale [kinds]prometheus.Counter
}

func newCounters(m *metrics.DNS) *counters {
	c := &counters{}
	for k := range kinds {
		c.hit[k] = m.Lookups.WithLabelValues(k.String(), "hit")
		c.miss[k] = m.Lookups.WithLabelValues(k.String(), "miss")
		c.joined[k] = m.Lookups.WithLabelValues(k.String(), "joined")
		c.stale[k] = m.Lookups.WithLabelValues(k.String(), "stale")
	}
	return c
}

// counted runs one query and counts how it went.
func (c *Cache) counted(network string, query func() (*dns.Msg, error)) (*dns.Msg, error) {
	begin := time.Now()
	msg, err := query()
	c.tally(network, begin, msg, err)
	return msg, err
}

// tally counts how a query went that was sent at begin.
func (c *Cache) tally(network string, begin time.Time, msg *dns.Msg, err error) {
	m, result := c.deps.Metrics, "answer"
	switch {
	case err == nil && usable(msg) != nil:
		result = "failure"
	case err == nil && len(msg.Answer) == 0:
		result = "denial"
	case errors.Is(err, errTruncated):
		result = "truncated"
	case err != nil && isSilence(err):
		result = "silence"
	case err != nil:
		result = "failure"
	}
	if err == nil {
		m.QuerySeconds.Observe(time.Since(begin).Seconds())
	}
	m.Queries.WithLabelValues(network, result).Inc()
}
