package pebblespool

import (
	"time"

	"github.com/cockroachdb/pebble/v2"

	"tenma/spool"
	"tenma/spool/pebblespool/layout"
	"tenma/spool/pebblespool/layout/inmem"
)

// group is a set of requests that share one batch and one sync. While it is
// built, later requests see what earlier ones of the group do.
type group struct {
	s      *Spool
	batch  *pebble.Batch
	broken error // reading or building failed: the storage is not to be trusted

	changes    map[spool.ID]*change
	order      []*change
	dedupes    map[layout.Hash]spool.ID
	refs       map[spool.ID]uint64 // of shared bodies
	words      map[spool.ID][]byte // records under n| written by this group
	usedStaged map[spool.ID]bool
	dying      []spool.ID // bodies deleted by this group

	stored, settled int
	scratch         []byte
	plans           []plan
}

// change is an entry as the group leaves it.
type change struct {
	*inmem.Live
	st        layout.State // of live.State, which is the stored one
	stateSize int          // of the record for st

	created bool
	removed bool
	data    []byte // body of a created entry

	wasParked bool // before the group; in this process, not only on disk
	parked    bool // after it
	reparked  bool // parked by this group
	feed      bool // Feed must hand it out when the group is durable
	adopt     bool // Feed's reading of stored entries had not come to it
}

func (s *Spool) newGroup() *group {
	return &group{
		s:          s,
		batch:      s.db.NewBatch(pebble.WithMaxRetainedSizeBytes(maxGroup + 1<<20)),
		changes:    map[spool.ID]*change{},
		dedupes:    map[layout.Hash]spool.ID{},
		refs:       map[spool.ID]uint64{},
		words:      map[spool.ID][]byte{},
		usedStaged: map[spool.ID]bool{},
	}
}

// reset makes g ready for the next set of requests.
func (g *group) reset() {
	g.batch.Reset()
	clear(g.changes)
	clear(g.dedupes)
	clear(g.refs)
	clear(g.words)
	clear(g.usedStaged)
	clear(g.order)
	g.order, g.dying = g.order[:0], g.dying[:0]
	g.stored, g.settled = 0, 0
}

// Writing to a batch fails only for want of memory or by misuse.
func (g *group) set(k, v []byte) {
	if err := g.batch.Set(k, v, nil); err != nil {
		g.broken = err
	}
}

// del says how long the deleted value was, which lets Pebble see early where
// space can be had back.
func (g *group) del(k []byte, size int) {
	if err := g.batch.DeleteSized(k, uint32(size), nil); err != nil {
		g.broken = err
	}
}

func (g *group) get(k []byte) []byte {
	v, err := g.s.get(k)
	if err != nil {
		g.broken = err
	}
	return v
}

// find gives an entry as the group so far leaves it, nil if there is none.
func (g *group) find(id spool.ID) *change {
	if c, ok := g.changes[id]; ok {
		if c.removed {
			return nil
		}
		return c
	}
	g.s.mu.Lock()
	l := g.s.cache.Get(id)
	none := l == nil && layout.Compare(id, g.s.cache.Beyond) > 0
	g.s.mu.Unlock()
	if none {
		return nil
	}
	if l == nil {
		var err error
		if l, err = g.s.load(id); err != nil {
			g.broken = err
		}
		if l == nil {
			return nil
		}
	}
	c := &change{Live: l, st: l.State, stateSize: l.StateLen}
	c.wasParked = l.State.Parked && g.s.due.Waiting(layout.Place{Due: layout.Seconds(l.State.Due), ID: id})
	c.parked = c.wasParked
	return c
}

// touch notes that c is changed by this group. An entry of an earlier run that
// Feed's reading has not come to leaves the reading's hands.
func (g *group) touch(c *change) {
	if _, known := g.changes[c.ID]; known {
		return
	}
	g.changes[c.ID] = c
	g.order = append(g.order, c)
	if c.created || c.Run == g.s.run {
		return
	}
	g.s.mu.Lock()
	c.adopt = g.s.feed.takeOver(c.ID)
	g.s.mu.Unlock()
	// Parked on disk and not waiting: it fell due in this run and Feed gave it
	// out by way of the due index.
	c.feed = c.adopt && !c.st.Parked
}

// write stores planned drafts.
func (g *group) write(plans []plan) {
	now := time.Now()
	for i := range plans {
		g.writeDraft(&plans[i], now)
	}
}

func (g *group) writeDraft(p *plan, now time.Time) {
	d := p.draft
	l := &inmem.Live{Stored: layout.Stored{ID: d.ID, Entry: layout.Entry{Run: g.s.run, Body: p.body, Size: p.size, Envelope: d.Envelope}}}
	c := &change{Live: l, created: true, data: d.Body}
	g.touch(c)
	g.stored++

	g.scratch = l.Entry.Append(g.scratch[:0], d.ID)
	l.EntryLen = len(g.scratch)
	k := layout.Key(layout.KindEntry, d.ID)
	g.set(k[:], g.scratch)

	switch {
	case p.shares:
		g.addRef(p.body)
	case d.Staged != nil:
		g.usedStaged[p.body] = true
		k := layout.Key(layout.KindStaged, p.body)
		g.del(k[:], layout.StagedLen)
	case len(d.Body) > 0:
		k := layout.ChunkKey(p.body, 0)
		g.set(k[:], d.Body)
	}

	st := layout.State{Due: d.Due, Data: d.State, Parked: d.Due.Sub(now) > g.s.o.Horizon}
	g.park(c, &st)
	g.setState(c, st)
	c.feed = !c.parked

	if len(d.DedupeKey) > 0 {
		g.setDedupe(p.hash, d.ID, now.Add(orDefault(d.DedupeFor, defaultDedupe)))
	}
}

func orDefault(d, def time.Duration) time.Duration {
	if d <= 0 {
		return def
	}
	return d
}

// park moves c in the due index from where it stands to where st wants it.
func (g *group) park(c *change, st *layout.State) {
	from, to := layout.Seconds(c.st.Due), layout.Seconds(st.Due)
	if c.st.Parked && (!st.Parked || from != to) {
		k := layout.DueKey(from, c.ID)
		g.del(k[:], layout.DueLen)
	}
	if st.Parked && (!c.st.Parked || from != to) {
		k := layout.DueKey(to, c.ID)
		g.set(k[:], layout.DueValue(g.s.run))
	}
	if c.parked && !st.Parked {
		c.feed = true // nobody holds it
	}
	c.parked, c.reparked = st.Parked, st.Parked
	if st.Parked {
		c.feed = false
	}
}

// setState makes st the state of c, and writes it if that is a change on disk.
func (g *group) setState(c *change, st layout.State) {
	k := layout.Key(layout.KindState, c.ID)
	if st.IsZero() {
		if c.stateSize > 0 {
			g.del(k[:], c.stateSize)
		}
		c.stateSize = 0
	} else {
		g.scratch = st.Append(g.scratch[:0])
		c.stateSize = len(g.scratch)
		g.set(k[:], g.scratch)
	}
	c.st = st
}

// setWords replaces the words that c is found by.
func (g *group) setWords(c *change, words []string) {
	g.dropWords(c)
	if len(words) == 0 {
		return
	}
	record := layout.AppendWords(nil, words)
	k := layout.Key(layout.KindWords, c.ID)
	g.set(k[:], record)
	g.words[c.ID] = record
	for _, w := range words {
		g.set(layout.FindKey(w, c.ID), nil)
	}
}

func (g *group) dropWords(c *change) {
	if !c.st.Words {
		return
	}
	k := layout.Key(layout.KindWords, c.ID)
	b, pending := g.words[c.ID]
	if !pending {
		b = g.get(k[:])
	}
	words, err := layout.ReadWords(b)
	if err != nil {
		g.broken = err
	}
	for _, w := range words {
		g.del(layout.FindKey(w, c.ID), 0)
	}
	g.del(k[:], len(b))
}

// remove deletes c with all that belongs to it.
func (g *group) remove(c *change) {
	c.removed, c.feed = true, false
	k := layout.Key(layout.KindEntry, c.ID)
	g.del(k[:], c.EntryLen)
	g.dropWords(c)
	if c.stateSize > 0 {
		k := layout.Key(layout.KindState, c.ID)
		g.del(k[:], c.stateSize)
	}
	if c.st.Parked {
		k := layout.DueKey(layout.Seconds(c.st.Due), c.ID)
		g.del(k[:], layout.DueLen)
	}
	c.parked, c.reparked = false, false
	g.dropBody(c.Body, c.Size)
}

// dropBody deletes a body unless others share it. A large body that is being
// read is kept until the last reader closes it, or the next start.
func (g *group) dropBody(body spool.ID, size int64) {
	if n := g.refCount(body); n > 1 {
		g.setRefs(body, n-1)
		return
	}
	g.s.mu.Lock()
	busy := g.s.opened[body] > 0
	if busy {
		g.s.orphans[body] = size
	} else if size > layout.ChunkSize {
		g.s.dying[body] = struct{}{}
		g.dying = append(g.dying, body)
	}
	g.s.mu.Unlock()
	if busy {
		k := layout.Key(layout.KindStaged, body)
		g.set(k[:], layout.StagedValue(size))
		return
	}
	g.deleteChunks(body, size)
}

func (g *group) deleteChunks(body spool.ID, size int64) {
	for n := range layout.Chunks(size) {
		k := layout.ChunkKey(body, n)
		g.del(k[:], layout.ChunkLen(size, n))
	}
}
