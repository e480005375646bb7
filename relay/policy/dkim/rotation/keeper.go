package rotation

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tenma/dnscache"
	"tenma/metrics"
	"tenma/relay/policy/dkim"
	"tenma/relay/wire/smtp"
)

// How often the keeper does something.
const (
	round     = time.Minute     // looks into the directory
	lookNext  = 5 * time.Minute // after the record of a next key: the owner waits for it
	lookOther = time.Hour       // after that of a key that signs or has signed
	lookups   = 16              // at the same time
)

// Config is what a Keeper is told.
type Config struct {
	Dir     string // of keys and state
	Domains []Domain
	Hold    time.Duration // the longest that mail waits in the queue
}

// Domain is one whose keys are kept.
type Domain struct {
	Name  smtp.Domain
	Every time.Duration // a new key is made when the active one is that old; 0: by command only
}

// Deps is what a Keeper uses besides.
type Deps struct {
	Resolver Resolver
	Store    Store
	// Changed is called when other keys sign; Keys has them. An error is logged.
	Changed func() error
	Metrics *metrics.DKIM
	Log     *slog.Logger // nil: slog.Default()
}

// Keeper watches over keys. Its methods may be called from any goroutine.
//
// A phase is saved before it counts: a crash leaves a key that may sign and does
// not, never one that signs and is not known to have.
type Keeper struct {
	deps Deps

	mu     sync.Mutex
	config Config // guarded by mu
	keys   []Key  // guarded by mu; of all domains, also of those that are kept no more
	saved  []Key  // guarded by mu; what a restart would find
}

// Open loads what is remembered and adopts the keys that are there, so that Keys
// can tell which sign. It writes nothing.
func Open(c Config, d Deps) (*Keeper, error) {
	if d.Log == nil {
		d.Log = slog.Default()
	}
	text, err := d.Store.Load()
	if err != nil {
		return nil, err
	}
	keys, err := Read(c, text, time.Now())
	if err != nil {
		return nil, err
	}
	k := &Keeper{deps: d, config: c, keys: keys}
	k.saved, _ = Decode(text) // Read has done so
	k.count()
	return k, nil
}

// Read gives the keys of every domain that is kept or was: as text, which was
// saved, has them, in line with the files that are there now.
func Read(c Config, text []byte, now time.Time) ([]Key, error) {
	keys, err := Decode(text)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w; put back what it was, or remove it: the oldest keys sign then", filepath.Join(c.Dir, StateFile), err)
	}
	files, err := Files(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("the signing keys cannot be listed: %w", err)
	}
	return c.adopt(keys, files, now), nil
}

// Kept is Read with the text that lies in c.Dir, for commands: what a relay that
// started now would find. Keys of domains that are kept no more are left out.
func Kept(c Config, now time.Time) ([]Key, error) {
	text, err := os.ReadFile(filepath.Join(c.Dir, StateFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the phases of the keys cannot be read: %w", err)
	}
	keys, err := Read(c, text, now)
	return slices.DeleteFunc(keys, func(k Key) bool { return !c.Has(k.Domain) }), err
}

// Has reports that the keys of a domain are kept.
func (c *Config) Has(d smtp.Domain) bool {
	return slices.ContainsFunc(c.Domains, func(o Domain) bool { return o.Name == d })
}

// Inspect looks at a key's file.
func (c *Config) Inspect(k Key) dkim.Info { return dkim.Inspect([]dkim.Key{c.key(k)})[0] }

// adopt is Adopt for all domains that are kept.
func (c *Config) adopt(keys []Key, files map[smtp.Domain][]File, now time.Time) []Key {
	own := byDomain(keys)
	kind := func(f File) string { return c.Inspect(Key{Domain: f.Domain, Selector: f.Selector}).Algorithm }
	for _, d := range c.Domains {
		own[d.Name] = Adopt(own[d.Name], files[d.Name], kind, now)
	}
	return all(own)
}

// byDomain sorts keys out.
func byDomain(keys []Key) map[smtp.Domain][]Key {
	own := map[smtp.Domain][]Key{}
	for _, k := range keys {
		own[k.Domain] = append(own[k.Domain], k)
	}
	return own
}

func all(own map[smtp.Domain][]Key) (keys []Key) {
	for _, of := range own {
		keys = append(keys, of...)
	}
	return sorted(keys)
}

// Apply puts another configuration in force.
func (k *Keeper) Apply(c Config) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.config = c
	k.adopt(time.Now())
	k.count()
}

// adopt brings the keys in line with the files; k.mu is held.
func (k *Keeper) adopt(now time.Time) {
	files, err := Files(k.config.Dir)
	if err != nil { // what was there may still be
		k.deps.Log.Error("DKIM: the directory of the keys cannot be read", "directory", k.config.Dir, "error", err)
		return
	}
	k.keys = k.config.adopt(k.keys, files, now)
}

// Keys gives the keys that sign now.
func (k *Keeper) Keys() []dkim.Key {
	k.mu.Lock()
	defer k.mu.Unlock()
	own := byDomain(k.keys)
	var signs []dkim.Key
	for _, d := range k.config.Domains {
		for _, key := range own[d.Name] {
			if key.Phase == Active {
				signs = append(signs, k.config.key(key))
			}
		}
	}
	return signs
}

// Run watches until ctx ends; it returns nil.
func (k *Keeper) Run(ctx context.Context) error {
	ticker := time.NewTicker(round)
	defer ticker.Stop()
	looked := map[string]time.Time{} // when the record of a name was last looked for
	for {
		k.round(ctx, looked)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// round does what is due now.
func (k *Keeper) round(ctx context.Context, looked map[string]time.Time) {
	now := time.Now()
	k.mu.Lock()
	signed := signing(k.keys)
	k.adopt(now)
	c, was, saved := k.config, k.keys, k.saved
	k.mu.Unlock()

	own := byDomain(k.look(ctx, c, was, looked, now))
	for _, d := range c.Domains {
		k.renew(c, d, own[d.Name], now)
		own[d.Name] = Step(own[d.Name], func(key Key) bool { return c.Inspect(key).Err == nil }, c.Hold, now)
	}
	is := all(own)
	if slices.Equal(saved, is) {
		return
	}
	if err := k.keep(was, is); err != nil {
		k.deps.Log.Error("DKIM: what became of keys cannot be saved; they stay in their phase", "error", err)
		return
	}
	k.tell(was, is, c.Hold)
	if !slices.Equal(signed, signing(is)) {
		if err := k.deps.Changed(); err != nil {
			k.deps.Log.Error("DKIM: another key should sign, but cannot be put in force", "error", err)
		}
	}
}

// keep saves the keys, unless another configuration has changed them meanwhile:
// the next round comes soon.
func (k *Keeper) keep(was, is []Key) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !slices.Equal(k.keys, was) {
		return errors.New("they were changed at the same time")
	}
	text, err := Encode(is)
	if err == nil {
		err = k.deps.Store.Save(text)
	}
	if err == nil {
		k.keys, k.saved = is, is
	}
	k.count()
	return err
}

func (c *Config) key(k Key) dkim.Key {
	return dkim.Key{Domain: k.Domain, Selector: k.Selector, Path: Path(c.Dir, k.Domain, k.Selector)}
}

// renew makes the keys that are due. The next round finds them.
func (k *Keeper) renew(c Config, d Domain, keys []Key, now time.Time) {
	for _, old := range Due(keys, d.Every, now) {
		info := c.Inspect(old)
		if info.Err == nil {
			info, info.Err = Make(c.Dir, info, now)
		}
		if info.Err != nil {
			k.deps.Log.Error("DKIM: the next key cannot be made", "domain", d.Name, "error", info.Err)
		}
	}
}

// look asks for the records that are due for a look.
func (k *Keeper) look(ctx context.Context, c Config, keys []Key, looked map[string]time.Time, now time.Time) []Key {
	keys = slices.Clone(keys)
	kept := map[smtp.Domain]bool{}
	for _, d := range c.Domains {
		kept[d.Name] = true
	}
	var asking errgroup.Group
	asking.SetLimit(lookups)
	for i, key := range keys {
		every := lookOther
		if key.Phase == Next {
			every = lookNext
		}
		if !kept[key.Domain] || key.Phase == Retired || now.Sub(looked[key.Name()]) < every {
			continue
		}
		looked[key.Name()] = now
		asking.Go(func() error {
			keys[i] = Note(key, k.ask(ctx, c.Inspect(key)), now)
			return nil
		})
	}
	_ = asking.Wait() // none gives an error
	return keys
}

// ask looks for one record.
func (k *Keeper) ask(ctx context.Context, info dkim.Info) Sight {
	if info.Err != nil {
		return Unknown
	}
	answer, err := k.deps.Resolver.LookupTXT(ctx, info.Name)
	switch {
	case err == nil:
		return Compare(answer.Records, info.Record)
	case errors.Is(err, dnscache.ErrNotFound) || errors.Is(err, dnscache.ErrNoData):
		return Missing
	}
	return Unknown
}

// signing lists the keys that sign.
func signing(keys []Key) (names []string) {
	for _, k := range keys {
		if k.Phase == Active {
			names = append(names, k.Name())
		}
	}
	return names
}

// tell logs what has changed.
func (k *Keeper) tell(was, is []Key, hold time.Duration) {
	before := map[string]Key{}
	for _, key := range was {
		before[key.Name()] = key
	}
	for _, now := range is {
		before := before[now.Name()]
		log := k.deps.Log.With("key", now.Name())
		switch {
		case before.Phase != now.Phase && now.Phase == Active:
			k.deps.Metrics.Switches.Inc()
			log.Info("DKIM: a new key signs; its record is published")
		case before.Phase != now.Phase && now.Phase == Retiring:
			log.Info("DKIM: a key signs no more; its record must stay", "until", now.Since.Add(RecordStays(hold)).Format(time.RFC3339))
		case before.Phase != now.Phase && now.Phase == Retired:
			log.Info("DKIM: the record of an old key is needed no more; publish it with an empty p= or take it out, then remove the key's file")
		case before.Sight == now.Sight || now.Sight == Unknown:
		case now.Sight == Published:
			log.Info("DKIM: the record of a key is published", "phase", now.Phase)
		case now.Phase == Next:
			log.Warn("DKIM: a key waits for its record to be published; \"tenma dkim list\" tells how", "record", now.Sight)
		default:
			log.Error("DKIM: the record of a key is not as it must be: receivers cannot verify our signatures", "phase", now.Phase, "record", now.Sight)
		}
	}
}

// count shows how many keys are where; k.mu is held.
func (k *Keeper) count() {
	keys, bad := map[Phase]int{}, map[Phase]int{}
	own := byDomain(k.keys)
	for _, d := range k.config.Domains {
		for _, key := range own[d.Name] {
			keys[key.Phase]++
			if key.Sight != Published && key.Sight != Unknown {
				bad[key.Phase]++
			}
		}
	}
	for _, p := range Phases() {
		k.deps.Metrics.Keys.WithLabelValues(string(p)).Set(float64(keys[p]))
		if p != Retired {
			k.deps.Metrics.Missing.WithLabelValues(string(p)).Set(float64(bad[p]))
		}
	}
}
