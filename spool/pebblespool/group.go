package pebblespool

import (
	"time"

	"github.com/cockroachdb/pebble/v2"

	"tenma/spool"
)

// group is a set of requests that share one batch and one sync. While it is
// built, later requests see what earlier ones of the group do.
type group struct {
	s      *Spool
	batch  *pebble.Batch
	broken error // reading or building failed: the storage is not to be trusted

	changes    map[spool.ID]*change
	order      []*change
	dedupes    map[hash]spool.ID
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
	*live
	st        state // shadows live.st, which is the stored one
	stateSize int   // of the record for st

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
		dedupes:    map[hash]spool.ID{},
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
	l := g.s.cache.get(id)
	g.s.mu.Unlock()
	if l == nil {
		var err error
		if l, err = g.s.load(id); err != nil {
			g.broken = err
		}
		if l == nil {
			return nil
		}
	}
	c := &change{live: l, st: l.st, stateSize: l.stateLen}
	c.wasParked = l.st.parked && g.s.due.waiting(place{seconds(l.st.due), id})
	c.parked = c.wasParked
	return c
}

// touch notes that c is changed by this group. An entry of an earlier run that
// Feed's reading has not come to leaves the reading's hands.
func (g *group) touch(c *change) {
	if _, known := g.changes[c.id]; known {
		return
	}
	g.changes[c.id] = c
	g.order = append(g.order, c)
	if c.created || c.run == g.s.run {
		return
	}
	g.s.mu.Lock()
	c.adopt = g.s.feed.takeOver(c.id)
	g.s.mu.Unlock()
	// Parked on disk and not waiting: it fell due in this run and Feed gave it
	// out by way of the due index.
	c.feed = c.adopt && !c.st.parked
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
	l := &live{id: d.ID, entry: entry{run: g.s.run, body: p.body, size: p.size, envelope: d.Envelope}}
	c := &change{live: l, created: true, data: d.Body}
	g.touch(c)
	g.stored++

	g.scratch = l.entry.append(g.scratch[:0], d.ID)
	l.entryLen = len(g.scratch)
	k := keyOf(kindEntry, d.ID)
	g.set(k[:], g.scratch)

	switch {
	case p.shares:
		g.addRef(p.body)
	case d.Staged != nil:
		g.usedStaged[p.body] = true
		k := keyOf(kindStaged, p.body)
		g.del(k[:], stagedLen)
	case len(d.Body) > 0:
		k := keyOfChunk(p.body, 0)
		g.set(k[:], d.Body)
	}

	st := state{due: d.Due, data: d.State, parked: d.Due.Sub(now) > g.s.o.Horizon}
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
func (g *group) park(c *change, st *state) {
	from, to := seconds(c.st.due), seconds(st.due)
	if c.st.parked && (!st.parked || from != to) {
		k := keyOfDue(from, c.id)
		g.del(k[:], dueLen)
	}
	if st.parked && (!c.st.parked || from != to) {
		k := keyOfDue(to, c.id)
		g.set(k[:], dueValue(g.s.run))
	}
	if c.parked && !st.parked {
		c.feed = true // nobody holds it
	}
	c.parked, c.reparked = st.parked, st.parked
	if st.parked {
		c.feed = false
	}
}

// setState makes st the state of c, and writes it if that is a change on disk.
func (g *group) setState(c *change, st state) {
	k := keyOf(kindState, c.id)
	if st.isZero() {
		if c.stateSize > 0 {
			g.del(k[:], c.stateSize)
		}
		c.stateSize = 0
	} else {
		g.scratch = st.append(g.scratch[:0])
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
	record := appendWords(nil, words)
	k := keyOf(kindWords, c.id)
	g.set(k[:], record)
	g.words[c.id] = record
	for _, w := range words {
		g.set(keyOfFind(w, c.id), nil)
	}
}

func (g *group) dropWords(c *change) {
	if !c.st.words {
		return
	}
	k := keyOf(kindWords, c.id)
	b, pending := g.words[c.id]
	if !pending {
		b = g.get(k[:])
	}
	words, err := readWords(b)
	if err != nil {
		g.broken = err
	}
	for _, w := range words {
		g.del(keyOfFind(w, c.id), 0)
	}
	g.del(k[:], len(b))
}

// remove deletes c with all that belongs to it.
func (g *group) remove(c *change) {
	c.removed, c.feed = true, false
	k := keyOf(kindEntry, c.id)
	g.del(k[:], c.entryLen)
	g.dropWords(c)
	if c.stateSize > 0 {
		k := keyOf(kindState, c.id)
		g.del(k[:], c.stateSize)
	}
	if c.st.parked {
		k := keyOfDue(seconds(c.st.due), c.id)
		g.del(k[:], dueLen)
	}
	c.parked, c.reparked = false, false
	g.dropBody(c.body, c.size)
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
	} else if size > chunkSize {
		g.s.dying[body] = struct{}{}
		g.dying = append(g.dying, body)
	}
	g.s.mu.Unlock()
	if busy {
		k := keyOf(kindStaged, body)
		g.set(k[:], stagedValue(size))
		return
	}
	g.deleteChunks(body, size)
}

func (g *group) deleteChunks(body spool.ID, size int64) {
	for n := range chunks(size) {
		k := keyOfChunk(body, n)
		g.del(k[:], chunkLen(size, n))
	}
}
