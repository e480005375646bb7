package suppress

import "sync/atomic"

// scopes are global, tenant, campaign.
const scopes = 3

// Counts are the numbers of entries: by what must be looked up, so that what
// there is none of costs nothing, and by reason. A Store changes them when a
// change is durable.
type Counts struct {
	kinds   [2][scopes]atomic.Int64 // address or domain; scope
	reasons [Reasons]atomic.Int64
	held    atomic.Int64
}

func (k *Key) kind() (domain, scope int) {
	if k.Local == "" {
		domain = 1
	}
	switch {
	case k.Campaign != "":
		return domain, 2
	case k.Tenant != "":
		return domain, 1
	}
	return domain, 0
}

// Add counts an entry, or with n = -1 one less.
func (c *Counts) Add(e *Entry, n int64) {
	if e.Held {
		c.held.Add(n)
		return
	}
	d, s := e.kind()
	c.kinds[d][s].Add(n)
	c.reasons[e.Reason].Add(n)
}

// Reason is how many entries have it, expired ones that were not swept yet
// included.
func (c *Counts) Reason(r Reason) int64 { return c.reasons[r].Load() }

// Held is how many are held.
func (c *Counts) Held() int64 { return c.held.Load() }

// numbers lists all, in a fixed order.
func (c *Counts) numbers() []*atomic.Int64 {
	all := []*atomic.Int64{&c.held}
	for d := range c.kinds {
		for s := range c.kinds[d] {
			all = append(all, &c.kinds[d][s])
		}
	}
	for i := range c.reasons {
		all = append(all, &c.reasons[i])
	}
	return all
}

// Values gives the numbers, for a Store to keep.
func (c *Counts) Values() []int64 {
	var v []int64
	for _, n := range c.numbers() {
		v = append(v, n.Load())
	}
	return v
}

// Set takes back what Values gave.
func (c *Counts) Set(v []int64) {
	for i, n := range c.numbers() {
		if i < len(v) {
			n.Store(v[i])
		}
	}
}
