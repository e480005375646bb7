package metrics

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The age of the oldest message is 0 without one, and after the clock was set
// back; a view that nobody gave has no metric.
func TestShow(t *testing.T) {
	now := time.Unix(1e9, 0)
	for _, c := range []struct {
		at   time.Time
		want float64
	}{{time.Time{}, 0}, {now.Add(time.Hour), 0}, {now.Add(-time.Hour), 3600}} {
		r := prometheus.NewRegistry()
		Show(r, func() time.Time { return now }, Views{Oldest: func() time.Time { return c.at }})
		all, err := r.Gather()
		if err != nil || len(all) != 1 || all[0].GetName() != "tenma_spool_oldest_seconds" || all[0].GetMetric()[0].GetGauge().GetValue() != c.want {
			t.Errorf("%v: %v, %v", c.at, all, err)
		}
	}
}

// Only what was sent has a time in the queue.
func TestDecided(t *testing.T) {
	r := prometheus.NewRegistry()
	q := New(r).Queue
	q.Decided("deferred", 0, time.Hour)
	q.Decided("sent", 2, 2*time.Second)
	all, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.GetName() != "tenma_queue_sent_seconds" {
			continue
		}
		for _, m := range f.GetMetric() {
			want := map[string]float64{"bulk": 2}[m.GetLabel()[0].GetValue()]
			if m.GetHistogram().GetSampleSum() != want {
				t.Errorf("%v", m)
			}
		}
		return
	}
	t.Error("there is no such metric")
}
