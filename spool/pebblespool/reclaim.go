package pebblespool

import (
	"bytes"
	"context"

	"github.com/cockroachdb/pebble/v2"

	"tenma/spool"
	"tenma/spool/pebblespool/layout"
	"tenma/spool/pebblespool/layout/reclaim"
)

func (s *Spool) keeper() *reclaim.Keeper {
	return &reclaim.Keeper{
		DB: s.db, Log: s.log,
		Figures: s.figures,
		Live:    s.liveBodies,
		Delete:  func(dead []reclaim.Range) { s.submit(&cut{dead: dead}) },
	}
}

// figures are not known before all entries are counted.
func (s *Spool) figures() (f reclaim.Figures, known bool) {
	s.mu.Lock()
	f.Live, f.Removed, known = s.stats.BodyBytes, s.removed, s.feed.rebuilt
	s.mu.Unlock()
	if !known || s.fence.Err() != nil {
		return f, false
	}
	f.Free, f.Full = s.free.Avail(), s.free.Err() != nil
	f.Tables = uint64(s.db.Metrics().Total().TablesSize)
	return f, true
}

func (s *Spool) liveBodies(fn func(spool.ID)) error {
	s.mu.Lock()
	s.low.Watch()
	s.mu.Unlock()
	return s.walk(spool.ID{}, func(e *layout.Stored) bool {
		fn(e.Body)
		return true
	})
}

// cut drops ranges of bodies of which none belonged to an entry. A range in which
// one could have been stored since is left out. It works on the tables
// themselves, at once, and so while the group is built.
type cut struct{ dead []reclaim.Range }

func (r *cut) weigh() int   { return 100 * len(r.dead) }
func (r *cut) finish(error) {}

func (r *cut) build(g *group) error {
	g.s.mu.Lock()
	oldest := g.oldest(g.s.low.Since())
	g.s.mu.Unlock()
	first := layout.Key(layout.KindBody, oldest)
	for _, d := range r.dead {
		if g.broken != nil || bytes.Compare(d.End, first[:]) > 0 {
			break
		}
		g.broken = g.s.watched(func() error {
			return g.s.db.Excise(context.Background(), pebble.KeyRange{Start: d.Start, End: d.End})
		})
	}
	return nil
}
