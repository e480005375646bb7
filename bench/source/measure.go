package source

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"tenma/bench/load"
)

// Latencies are kept in microseconds, to three digits, up to one hour.
const (
	maxLatency = int64(time.Hour / time.Microsecond)
	digits     = 3
)

// maxPoints bounds the series: a day. A longer load's later seconds are in
// its totals only.
const maxPoints = 86_400

// counters are what sessions count. All are totals since the start.
type counters struct {
	sent       atomic.Int64 // messages written to their end
	accepted   atomic.Int64
	soft, hard atomic.Int64 // messages that were answered 4yz, 5yz
	connErrors atomic.Int64 // connections that could not be made, or broke
	broken     atomic.Int64 // messages under way on a connection that broke
	refused    atomic.Int64 // recipients that were refused
	conns      atomic.Int64 // connections made
	open       atomic.Int64 // connections now
	resumed    atomic.Int64 // TLS sessions resumed
	firstError atomic.Pointer[string]
}

// fail keeps the first error of a load.
func (c *counters) fail(text string) {
	if c.firstError.Load() == nil {
		c.firstError.CompareAndSwap(nil, &text)
	}
}

// meter collects latencies. Sessions record into a shard each, which a second
// later is added to the total.
type meter struct {
	shards []shard
	mu     sync.Mutex
	total  *hdrhistogram.Histogram
	second *hdrhistogram.Histogram // the last whole second's
}

type shard struct {
	mu   sync.Mutex
	hist *hdrhistogram.Histogram
	_    [64]byte // shards are used on different cores
}

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, maxLatency, digits) }

func newMeter(shards int) *meter {
	m := &meter{shards: make([]shard, shards), total: newHistogram(), second: newHistogram()}
	for i := range m.shards {
		m.shards[i].hist = newHistogram()
	}
	return m
}

func micros(d time.Duration) int64 {
	return min(max(int64(d/time.Microsecond), 1), maxLatency)
}

func (s *shard) record(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hist.RecordValue(micros(d)) // clamped, so that it fits
}

// turn ends a second.
func (m *meter) turn() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.second.Reset()
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		if s.hist.TotalCount() > 0 {
			m.second.Merge(s.hist)
			s.hist.Reset()
		}
		s.mu.Unlock()
	}
	m.total.Merge(m.second)
}

// quantiles of the last second and of all whole seconds.
func (m *meter) quantiles() (second, total load.Quantiles) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return quantiles(m.second), quantiles(m.total)
}

// whole gives the quantiles up to this moment.
func (m *meter) whole() load.Quantiles {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := newHistogram()
	h.Merge(m.total)
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		h.Merge(s.hist)
		s.mu.Unlock()
	}
	return quantiles(h)
}

// quantiles in milliseconds.
func quantiles(h *hdrhistogram.Histogram) load.Quantiles {
	if h.TotalCount() == 0 {
		return load.Quantiles{}
	}
	at := func(p float64) float64 { return float64(h.ValueAtPercentile(p)) / 1000 }
	return load.Quantiles{P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: float64(h.Max()) / 1000}
}
