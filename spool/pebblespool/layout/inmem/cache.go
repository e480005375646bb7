package inmem

import (
	"tenma/spool"
	"tenma/spool/pebblespool/layout"
)

// Cache keeps fresh entries with their bodies, within a budget of octets, from
// their commit to their removal. The oldest are dropped first: what has been
// here longest is deferred mail, which is read back once in a while at most.
//
// It is guarded by the mutex of the spool. Only the committer adds, changes and removes, and
// only after the change is durable; dropping for want of room may happen at any
// addition.
type Cache struct {
	// Beyond is the bound of what the cache knows: each entry with a greater id
	// is here, so that an id that is greater and not here does not exist. The
	// ids of new mail are, which saves a look into the database for each.
	Beyond spool.ID

	limit, used int64
	entries     map[spool.ID]*Live
	bodies      map[spool.ID]*Body
	oldest      *Live
	newest      *Live
}

// Live is an entry in memory.
type Live struct {
	layout.Stored
	Mem *Body // nil: the body is on disk only

	older, newer *Live
}

// Body is a body in memory; entries that share a body share it here too.
type Body struct {
	Data  []byte
	users int
}

// liveOverhead is what an entry in memory takes besides its octets: the struct,
// two map slots and allocator rounding, about.
const liveOverhead = 400

func (l *Live) cost() int64 { return liveOverhead + int64(len(l.Envelope)+len(l.State.Data)) }

// Used is how many octets are kept.
func (c *Cache) Used() int64 { return c.used }

// NewCache makes a cache for limit octets; none if limit is not positive.
func NewCache(limit int64) *Cache {
	return &Cache{limit: limit, entries: map[spool.ID]*Live{}, bodies: map[spool.ID]*Body{}}
}

// Get is nil if the entry is not in memory.
func (c *Cache) Get(id spool.ID) *Live { return c.entries[id] }

// Add takes l. data is its body, nil if that is not at hand.
func (c *Cache) Add(l *Live, data []byte) {
	if c.limit <= 0 {
		c.lost(l.ID)
		return
	}
	if l.Mem = c.bodies[l.Body]; l.Mem == nil && (data != nil || l.Size == 0) {
		l.Mem = &Body{Data: data}
		c.bodies[l.Body] = l.Mem
		c.used += int64(len(data))
	}
	if l.Mem != nil {
		l.Mem.users++
	}
	c.entries[l.ID] = l
	c.used += l.cost()
	if l.older = c.newest; l.older != nil {
		l.older.newer = l
	} else {
		c.oldest = l
	}
	c.newest = l
	for c.used > c.limit && c.oldest != nil {
		c.lost(c.oldest.ID)
		c.Remove(c.oldest)
	}
}

func (c *Cache) lost(id spool.ID) {
	if layout.Compare(id, c.Beyond) > 0 {
		c.Beyond = id
	}
}

// Update notes the new state of l.
func (c *Cache) Update(l *Live, st layout.State, stateLen int) {
	c.used -= l.cost()
	l.State, l.StateLen = st, stateLen
	c.used += l.cost()
}

// Remove forgets l.
func (c *Cache) Remove(l *Live) {
	delete(c.entries, l.ID)
	c.used -= l.cost()
	if l.Mem != nil {
		if l.Mem.users--; l.Mem.users == 0 {
			delete(c.bodies, l.Body)
			c.used -= int64(len(l.Mem.Data))
		}
		l.Mem = nil
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
