package disk

import (
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tenma/spool"
)

// Reserve watches how much room the file system has left. Below the larger of
// Percent and Bytes new mail is refused; settlements are not, so that a full
// disk can empty itself.
type Reserve struct {
	Ask     func() (free, total uint64, err error)
	Percent float64 // of the file system
	Bytes   int64
	Gauge   prometheus.Gauge // shows what is free

	mu    sync.Mutex
	asked time.Time
	avail uint64
	full  error
}

// askEvery is how old an answer may be. At 1 GB/s, more than a spool writes,
// that is 1 GB: less than 5 % of any disk a relay should have.
const askEvery = time.Second

// Err is nil or wraps spool.ErrFull. A file system that does not say how much
// is free has no reserve.
func (r *Reserve) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if age := now.Sub(r.asked); age >= 0 && age < askEvery && !r.asked.IsZero() {
		return r.full
	}
	r.asked, r.full = now, nil
	avail, total, err := r.Ask()
	if err != nil {
		return nil
	}
	r.avail = avail
	r.Gauge.Set(float64(avail))
	need := max(float64(total)*r.Percent/100, float64(r.Bytes))
	if float64(avail) < need {
		r.full = fmt.Errorf("%w: %d MiB free, %.0f MiB are kept in reserve", spool.ErrFull, avail>>20, need/(1<<20))
	}
	return r.full
}

// Avail is how many octets were free when it was last asked, at most a second
// ago.
func (r *Reserve) Avail() int64 {
	_ = r.Err()
	r.mu.Lock()
	defer r.mu.Unlock()
	return int64(min(r.avail, 1<<62))
}
