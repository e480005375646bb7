package relay

import (
	"context"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tenma/metrics"
	"tenma/relay/config"
	"tenma/spool"
)

// views are the figures about the spool that are looked up when somebody
// scrapes.
func views(s spool.Engine, c config.Spool) metrics.Views {
	return metrics.Views{
		Oldest: func() (at time.Time) {
			// One that cannot be read shows in the spool's health, not here.
			_ = s.Scan(context.Background(), spool.ID{}, func(e spool.Entry) bool {
				at = e.ID.Time()
				return false
			})
			return at
		},
		SpoolDisk:    func() float64 { return float64(s.Stats().DiskBytes) },
		SpoolWritten: func() float64 { return float64(s.Stats().Written) },
		SpoolTables:  func() float64 { return float64(s.Stats().TableBytes) },
		SpoolCache:   func() float64 { return float64(s.Stats().CacheBytes) },
		Rebuilding: func() float64 {
			if s.Stats().Rebuilding {
				return 1
			}
			return 0
		},
		Reserve: func() float64 {
			u, err := vfs.Default.GetDiskUsage(c.Dir)
			if err != nil { // a spool in memory: nothing can fill up
				return 0
			}
			return max(float64(c.MinFreeBytes), c.MinFreePercent/100*float64(u.TotalBytes))
		},
	}
}
