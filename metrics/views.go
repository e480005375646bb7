package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Views are figures that nobody counts along the way: they are looked up when
// somebody scrapes. Each function may be called by several goroutines at once; one
// that is nil has no metric.
type Views struct {
	// Oldest gives when the oldest message in the spool was accepted, or the
	// zero time where there is none. A message on hold counts.
	Oldest func() time.Time
	// SpoolDisk gives the octets that the spool takes on disk.
	SpoolDisk func() float64
	// SpoolWritten gives the octets written to the spool's files since the start.
	SpoolWritten func() float64
	// SpoolTables and SpoolCache give the memory of the spool's write buffers and
	// of its cache of what was read, which do not grow with the queue.
	SpoolTables, SpoolCache func() float64
	// Rebuilding is 1 while stored messages are still being read after a start.
	Rebuilding func() float64
	// Reserve gives the octets that are kept free of new mail on the spool's
	// file system: spool.min_free_disk.
	Reserve func() float64
	// NotAfter gives until when the listeners' certificate is valid.
	NotAfter func() time.Time
}

// Show registers v with r. now is the clock.
func Show(r prometheus.Registerer, now func() time.Time, v Views) {
	f := promauto.With(r)
	gauge := func(name, help string, value func() float64) {
		f.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	if v.Oldest != nil {
		gauge("tenma_spool_oldest_seconds", "Age of the oldest message in the spool, 0 if there is none; one on hold counts.", func() float64 {
			at := v.Oldest()
			if at.IsZero() {
				return 0
			}
			return max(0, now().Sub(at).Seconds()) // the clock may have been set back
		})
	}
	if v.SpoolDisk != nil {
		gauge("tenma_spool_disk_bytes", "What the spool takes on disk.", v.SpoolDisk)
	}
	if v.SpoolWritten != nil {
		f.NewCounterFunc(prometheus.CounterOpts{Name: "tenma_spool_written_bytes_total", Help: "Octets written to the spool's files: log, tables, values."}, v.SpoolWritten)
	}
	if v.SpoolTables != nil {
		gauge("tenma_spool_memtable_bytes", "Memory of the spool's write buffers, which does not grow with the queue.", v.SpoolTables)
	}
	if v.SpoolCache != nil {
		gauge("tenma_spool_block_cache_bytes", "Memory of the spool's cache of what was read from disk.", v.SpoolCache)
	}
	if v.Rebuilding != nil {
		gauge("tenma_spool_rebuilding", "1 while stored messages are still being read after a start, and the queue is not known as a whole.", v.Rebuilding)
	}
	if v.Reserve != nil {
		gauge("tenma_spool_reserve_bytes", "Room on the spool's file system that new mail may not take (spool.min_free_disk); below it clients hear 452.", v.Reserve)
	}
	if v.NotAfter != nil {
		gauge("tenma_tls_certificate_expiry_seconds", "Until when the listeners' certificate is valid, as Unix time.", func() float64 {
			return float64(v.NotAfter().Unix())
		})
	}
}
