package dnscache

import (
	"context"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tenma/metrics"
)

// Deps is what a Cache gets from outside. The zero value works.
type Deps struct {
	Log     *slog.Logger  // nil: nothing is logged
	Metrics *metrics.DNS  // nil: nothing is counted
	NewID   func() uint16 // ids of queries; nil: from the system's randomness
	// ResolvConf is the file that names the servers where Config does not; "":
	// /etc/resolv.conf.
	ResolvConf string
}

const (
	// refreshers is how many popular answers are asked for at a time.
	refreshers = 4
	// refreshQueue bounds the popular answers that wait for a refresher; one
	// that finds no room is asked for again at its next use.
	refreshQueue = 256
	// reloadEvery is the time between two looks at resolv.conf.
	reloadEvery = 30 * time.Second
	// maxInFlight bounds the lookups that wait for servers at a time, and so
	// the sockets that are open.
	maxInFlight = 1024
)

// Cache is a caching stub resolver. Its methods may be called from any
// goroutine.
type Cache struct {
	deps     Deps
	counts   *counters
	settings atomic.Pointer[settings]
	store    *store
	applying sync.Mutex    // held by Apply
	inFlight chan struct{} // one token per lookup that asks servers
	refresh  chan key      // popular answers near their end
	running  atomic.Bool   // Run is there to take from refresh
}

var _ Lookups = (*Cache)(nil)

// New builds a Cache. An error says what is wrong with the configuration; a
// resolv.conf that cannot be read is none.
func New(cfg Config, deps Deps) (*Cache, error) {
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Metrics == nil {
		deps.Metrics = metrics.New(prometheus.NewRegistry()).DNS
	}
	if deps.NewID == nil {
		deps.NewID = new(ids).next
	}
	if deps.ResolvConf == "" {
		deps.ResolvConf = "/etc/resolv.conf"
	}
	s, err := newSettings(cfg, deps.ResolvConf)
	if err != nil {
		return nil, err
	}
	c := &Cache{
		deps:     deps,
		counts:   newCounters(deps.Metrics),
		store:    newStore(s.MaxMemory, maphash.MakeSeed(), deps.Metrics),
		inFlight: make(chan struct{}, maxInFlight),
		refresh:  make(chan key, refreshQueue),
	}
	c.settings.Store(s)
	return c, nil
}

// Apply changes the configuration. On an error the old one stays. Where
// servers or the belief in them change, what they said is forgotten.
func (c *Cache) Apply(cfg Config) error {
	c.applying.Lock()
	defer c.applying.Unlock()
	next, err := newSettings(cfg, c.deps.ResolvConf)
	if err != nil {
		return err
	}
	c.swap(next)
	return nil
}

// swap installs next; c.applying is held.
func (c *Cache) swap(next *settings) {
	old := c.settings.Load()
	if old.sameView(next) {
		next.adopt(old)
		c.settings.Store(next)
		c.store.resize(next.MaxMemory)
		return
	}
	c.settings.Store(next)
	c.store.resize(next.MaxMemory)
	c.store.clear() // after the swap: answers under way belong to old settings and are not kept
	old.close()
	c.deps.Metrics.ServersDown.Set(0)
}

// Run refreshes popular answers before they end and follows changes of
// resolv.conf, until ctx ends. When it returns, no goroutine of the Cache is
// left but those of lookups that callers still wait for, and idle sockets are
// closed. It returns nil.
func (c *Cache) Run(ctx context.Context) error {
	c.running.Store(true)
	var workers sync.WaitGroup
	for range refreshers {
		workers.Go(func() { c.refresher(ctx) })
	}
	tick := time.NewTicker(reloadEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			c.reload()
			continue
		case <-ctx.Done():
		}
		break
	}
	c.running.Store(false)
	workers.Wait()
	for _, s := range c.settings.Load().servers {
		s.setKeep(0)
	}
	return nil
}

// refresher asks again for answers that are in use and near their end.
func (c *Cache) refresher(ctx context.Context) {
	for {
		select {
		case k := <-c.refresh:
			c.deps.Metrics.Prefetches.Inc()
			c.renew(ctx, k)
		case <-ctx.Done():
			return
		}
	}
}

// reload reads resolv.conf again if it changed and decides.
func (c *Cache) reload() {
	c.applying.Lock()
	defer c.applying.Unlock()
	old := c.settings.Load()
	if len(old.Servers) > 0 || !old.resolvConfChanged(c.deps.ResolvConf) {
		return
	}
	next, err := newSettings(old.Config, c.deps.ResolvConf)
	if err != nil {
		c.deps.Log.Warn("dns: resolv.conf not taken, the old servers stay", "path", c.deps.ResolvConf, "error", err)
		return
	}
	c.deps.Log.Info("dns: resolv.conf changed", "servers", next.addresses())
	c.swap(next)
}
