package pebblespool

import "tenma/spool"

// cache keeps fresh entries with their bodies, within a budget of octets, from
// their commit to their removal. The oldest are dropped first: what has been
// here longest is deferred mail, which is read back once in a while at most.
//
// It is guarded by Spool.mu. Only the committer adds, changes and removes, and
// only after the change is durable; dropping for want of room may happen at any
// addition.
type cache struct {
	limit, used int64
	entries     map[spool.ID]*live
	bodies      map[spool.ID]*memBody
	oldest      *live
	newest      *live
}

// live is an entry in memory.
type live struct {
	id spool.ID
	entry
	entryLen int // of the stored record
	st       state
	stateLen int      // of the stored record; 0: none
	mem      *memBody // nil: the body is on disk only

	older, newer *live
}

// memBody is a body in memory; entries that share a body share it here too.
type memBody struct {
	data  []byte
	users int
}

// liveOverhead is what an entry in memory takes besides its octets: the struct,
// two map slots and allocator rounding, about.
const liveOverhead = 400

func (l *live) cost() int64 { return liveOverhead + int64(len(l.envelope)+len(l.st.data)) }

func newCache(limit int64) *cache {
	return &cache{limit: limit, entries: map[spool.ID]*live{}, bodies: map[spool.ID]*memBody{}}
}

func (c *cache) get(id spool.ID) *live { return c.entries[id] }

// add takes l. data is its body, nil if that is not at hand.
func (c *cache) add(l *live, data []byte) {
	if c.limit <= 0 {
		return
	}
	if l.mem = c.bodies[l.body]; l.mem == nil && (data != nil || l.size == 0) {
		l.mem = &memBody{data: data}
		c.bodies[l.body] = l.mem
		c.used += int64(len(data))
	}
	if l.mem != nil {
		l.mem.users++
	}
	c.entries[l.id] = l
	c.used += l.cost()
	if l.older = c.newest; l.older != nil {
		l.older.newer = l
	} else {
		c.oldest = l
	}
	c.newest = l
	for c.used > c.limit && c.oldest != nil {
		c.remove(c.oldest)
	}
}

func (c *cache) update(l *live, st state, stateLen int) {
	c.used -= l.cost()
	l.st, l.stateLen = st, stateLen
	c.used += l.cost()
}

func (c *cache) remove(l *live) {
	delete(c.entries, l.id)
	c.used -= l.cost()
	if l.mem != nil {
		if l.mem.users--; l.mem.users == 0 {
			delete(c.bodies, l.body)
			c.used -= int64(len(l.mem.data))
		}
		l.mem = nil
	}
	if l.older != nil {
		l.older.newer = l.newer
	} else {
		c.oldest = l.newer
	}
	if l.newer != nil {
		l.newer.older = l.older
	} else {
		c.newest = l.older
	}
	l.older, l.newer = nil, nil
}
