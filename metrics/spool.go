package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Spool counts what the spool does.
type Spool struct {
	Commits     prometheus.Counter     // entries stored
	Groups      prometheus.Counter     // synced batches
	Settlements prometheus.Counter     // settlements made durable
	GroupSize   prometheus.Histogram   // requests in a group
	GroupTime   prometheus.Histogram   // from taking a group to its sync, seconds
	Refused     *prometheus.CounterVec // reason: full, sick, duplicate
	Fed         prometheus.Counter     // entries handed to the queue
	BodyReads   *prometheus.CounterVec // from: memory, disk
	Skipped     prometheus.Counter     // stored entries that could not be read
	Entries     prometheus.Gauge
	Parked      prometheus.Gauge
	BodyBytes   prometheus.Gauge
	CachedBytes prometheus.Gauge
	FreeBytes   prometheus.Gauge
	Sick        prometheus.Gauge // 1 after storage failed
	Unsynced    prometheus.Gauge // 1 when syncing is turned off
}

func newSpool(f promauto.Factory) *Spool {
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return f.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	return &Spool{
		Commits:     counter("tenma_spool_commits_total", "Entries made durable."),
		Groups:      counter("tenma_spool_groups_total", "Synced batches; commits and settlements share them."),
		Settlements: counter("tenma_spool_settlements_total", "Settlements made durable."),
		GroupSize: f.NewHistogram(prometheus.HistogramOpts{
			Name: "tenma_spool_group_requests", Help: "Commits and settlements in one synced batch.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 12),
		}),
		GroupTime: f.NewHistogram(prometheus.HistogramOpts{
			Name: "tenma_spool_group_seconds", Help: "Time to build, write and sync one batch.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 18),
		}),
		Refused: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tenma_spool_refused_total", Help: "Commits refused, by reason: full, sick, duplicate.",
		}, []string{"reason"}),
		Fed: counter("tenma_spool_fed_total", "Entries handed to the queue."),
		BodyReads: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tenma_spool_body_reads_total", Help: "Bodies opened, by where they were: memory, disk.",
		}, []string{"from"}),
		Skipped:     counter("tenma_spool_unreadable_total", "Stored entries that could not be read."),
		Entries:     gauge("tenma_spool_entries", "Entries in the spool."),
		Parked:      gauge("tenma_spool_parked", "Entries that wait in the due index and are not in memory."),
		BodyBytes:   gauge("tenma_spool_body_bytes", "Bodies of all entries; a shared body counts for each."),
		CachedBytes: gauge("tenma_spool_cached_bytes", "Fresh mail kept in memory."),
		FreeBytes:   gauge("tenma_spool_free_bytes", "Room left on the spool's file system."),
		Sick:        gauge("tenma_spool_sick", "1 after the storage failed, until the process is restarted."),
		Unsynced:    gauge("tenma_spool_unsynced", "1 when commits are not synced: an acknowledged message may be lost in a power failure."),
	}
}
