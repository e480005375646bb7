package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// DNS counts what the DNS cache does. Label "type" is the kind of question: MX,
// ADDR (A and AAAA together), TXT, PTR, TLSA.
type DNS struct {
	// Lookups by type and result: "hit" (from memory), "miss" (a server was
	// asked), "joined" (waited for another's question), "stale" (an address
	// past its time, since no server answers).
	Lookups *prometheus.CounterVec
	// Queries sent to servers, by network ("udp", "tcp") and result: "answer",
	// "denial", "truncated", "failure" (SERVFAIL, REFUSED, lame, malformed),
	// "silence" (also: nobody there).
	Queries *prometheus.CounterVec
	// QuerySeconds is the time from a query to its reply, for queries that got
	// one.
	QuerySeconds prometheus.Histogram
	// Forged counts replies that were dropped because id or question were not
	// those of the query; many of them are an attack.
	Forged prometheus.Counter
	// Prefetches counts popular answers asked for again before their end.
	Prefetches prometheus.Counter
	// Evictions counts answers that were dropped for lack of memory.
	Evictions prometheus.Counter
	// Entries and Bytes tell what is in memory, Bytes as an estimate.
	Entries, Bytes prometheus.Gauge
	// ServersDown is the number of configured servers that are thought dead.
	ServersDown prometheus.Gauge
}

func newDNS(f promauto.Factory) *DNS {
	return &DNS{
		Lookups: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tenma_dns_lookups_total", Help: "Lookups, by type and result: hit, miss, joined (with another's query), stale.",
		}, []string{"type", "result"}),
		Queries: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tenma_dns_queries_total", Help: "Queries sent to DNS servers, by network and result: answer, denial, truncated, failure, silence.",
		}, []string{"network", "result"}),
		QuerySeconds: f.NewHistogram(prometheus.HistogramOpts{
			Name: "tenma_dns_query_seconds", Help: "Time from a query to its reply.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 8), NativeHistogramBucketFactor: 1.2,
		}),
		Forged: f.NewCounter(prometheus.CounterOpts{
			Name: "tenma_dns_mismatched_replies_total", Help: "Replies dropped because id or question did not match.",
		}),
		Prefetches: f.NewCounter(prometheus.CounterOpts{
			Name: "tenma_dns_prefetches_total", Help: "Popular answers asked for again before their end.",
		}),
		Evictions: f.NewCounter(prometheus.CounterOpts{
			Name: "tenma_dns_evictions_total", Help: "Answers dropped for lack of memory.",
		}),
		Entries: f.NewGauge(prometheus.GaugeOpts{
			Name: "tenma_dns_cache_entries", Help: "Answers in memory.",
		}),
		Bytes: f.NewGauge(prometheus.GaugeOpts{
			Name: "tenma_dns_cache_bytes", Help: "Memory of the answers, estimated.",
		}),
		ServersDown: f.NewGauge(prometheus.GaugeOpts{
			Name: "tenma_dns_servers_down", Help: "Configured DNS servers that are thought dead.",
		}),
	}
}
