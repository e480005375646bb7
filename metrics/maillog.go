package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Maillog counts what stage maillog does.
type Maillog struct {
	// Records taken, by kind ("Delivery", "Bounce", ...; a closed list).
	Records *prometheus.CounterVec
	// Dropped counts records that were lost because they could not be written
	// for too long.
	Dropped prometheus.Counter
	// WrittenBytes counts octets written to segments.
	WrittenBytes prometheus.Counter
	// WriteErrors counts failed writes and syncs.
	WriteErrors prometheus.Counter
	// FlushSeconds is the time that a write with its sync takes.
	FlushSeconds prometheus.Histogram
	// BufferBytes is how much waits to be written.
	BufferBytes prometheus.Gauge
	// Sealed counts segments that were compressed.
	Sealed prometheus.Counter
	// SealErrors counts segments that could not be compressed or deleted; they
	// are tried again.
	SealErrors prometheus.Counter
}

// NewMaillog makes the collectors and registers them with r, if not nil.
func NewMaillog(r prometheus.Registerer) *Maillog { return newMaillog(promauto.With(r)) }

func newMaillog(f promauto.Factory) *Maillog {
	return &Maillog{
		Records: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tenma_maillog_records_total", Help: "Mail log records taken, by kind as in the log's field type.",
		}, []string{"kind"}),
		Dropped: f.NewCounter(prometheus.CounterOpts{
			Name: "tenma_maillog_dropped_total", Help: "Mail log records lost because they could not be written for too long.",
		}),
		WrittenBytes: f.NewCounter(prometheus.CounterOpts{
			Name: "tenma_maillog_written_bytes_total", Help: "Octets written to mail log segments.",
		}),
		WriteErrors: f.NewCounter(prometheus.CounterOpts{
			Name: "tenma_maillog_write_errors_total", Help: "Failed writes and syncs of the mail log.",
		}),
		FlushSeconds: f.NewHistogram(prometheus.HistogramOpts{
			Name: "tenma_maillog_flush_seconds", Help: "Time of a write to the mail log, its sync included.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 8), NativeHistogramBucketFactor: 1.2,
		}),
		BufferBytes: f.NewGauge(prometheus.GaugeOpts{
			Name: "tenma_maillog_buffer_bytes", Help: "Octets of mail log records that wait to be written.",
		}),
		Sealed: f.NewCounter(prometheus.CounterOpts{
			Name: "tenma_maillog_sealed_segments_total", Help: "Mail log segments compressed.",
		}),
		SealErrors: f.NewCounter(prometheus.CounterOpts{
			Name: "tenma_maillog_seal_errors_total", Help: "Mail log segments that could not be compressed or deleted yet.",
		}),
	}
}
