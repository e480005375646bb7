package scenario

import (
	"context"
	"time"

	"tenma/bench/load"
)

// Figures of a server about its queue and memory, as tenma has them.
const (
	rebuildingFigure = "tenma_spool_rebuilding"        // 1 while stored messages are still being read
	entriesFigure    = "tenma_spool_entries"           // stored messages that are known
	tablesFigure     = "tenma_spool_memtable_bytes"    // write buffers
	cacheFigure      = "tenma_spool_block_cache_bytes" // what was read from disk
)

// rebuildEvery is how often a server is asked whether it knows its queue yet.
const rebuildEvery = 100 * time.Millisecond

// rebuild is how a server came to know its whole queue again after a start. Zero
// for one that does not tell.
type rebuild struct {
	seconds        float64 // from the start until all was known; 0: it did not come so far
	rss            float64 // octets: the most until then
	own            float64 // octets: the most without write buffers and cache
	tables, caches float64 // octets, at that moment
}

// rebuild watches a server that was started at began until it knows its queue,
// or ctx ends.
func (t *turn) rebuild(ctx context.Context, began time.Time) (b rebuild) {
	for {
		all, err := t.server.Figures(ctx) // an error: it greets before it serves HTTP
		rebuilding, tells := all[rebuildingFigure]
		if err == nil && !tells {
			return b
		}
		if u, err := t.server.Usage(); err == nil && tells {
			rss := float64(u.RSS)
			b.rss = max(b.rss, rss)
			if own := rss - all[tablesFigure] - all[cacheFigure]; own > b.own {
				b.own, b.tables, b.caches = own, all[tablesFigure], all[cacheFigure]
			}
		}
		if tells && rebuilding == 0 {
			b.seconds = time.Since(began).Seconds()
			return b
		}
		if !pause(ctx, rebuildEvery) {
			return b
		}
	}
}

// note puts it into a result.
func (b rebuild) note(x *load.Result) {
	if b.rss == 0 {
		return
	}
	if b.seconds > 0 {
		extra(x, "rebuild_seconds", b.seconds)
	}
	extra(x, "rebuild_rss_bytes", b.rss)
	extra(x, "rebuild_rss_own_bytes", b.own)
	extra(x, "memtable_bytes", b.tables)
	extra(x, "block_cache_bytes", b.caches)
}
