package suppress

import (
	"log/slog"
	"time"

	"tenma/metrics"
	"tenma/relay/policy/suppress/storm"
	"tenma/relay/wire/smtp"
)

// Automatic says whose failures make entries.
type Automatic string

// Its values, spelled as in the configuration.
const (
	AutomaticAll     Automatic = "all"     // those of all mail that may be relayed
	AutomaticTenants Automatic = "tenants" // only where the mail has a tenant
	AutomaticOff     Automatic = "off"     // nobody's
)

// Config is what a List is told.
type Config struct {
	Automatic Automatic // "": AutomaticAll
	// Expire is how long an entry holds, by its Reason; 0: for ever.
	Expire [Reasons]time.Duration
	// HoldFor is how long what was made in a storm waits for an operator or
	// another failure; 0: 30 days.
	HoldFor time.Duration
	Storm   storm.Config
	// Transactional names tenants whose mail people have no choice about (a
	// password, an invoice): a wish to be left alone does not stop it.
	Transactional []string
	// Own are the domains whose mail comes to us: nothing but unsubscriptions counts there.
	Own []smtp.Domain
}

// DefaultExpire gives the Expire of who sets none: a mailbox that was closed may
// be opened for somebody else, so failures are tried again every 90 days.
func DefaultExpire() (e [Reasons]time.Duration) {
	e[HardBounce], e[Returned] = 90*24*time.Hour, 90*24*time.Hour
	return e
}

func (c Config) withDefaults() Config {
	if c.Automatic == "" {
		c.Automatic = AutomaticAll
	}
	if c.HoldFor == 0 {
		c.HoldFor = 30 * 24 * time.Hour
	}
	return c
}

// Deps are what a List works with.
type Deps struct {
	Store   Store
	Metrics *metrics.Suppress // nil: counted for nobody
	Log     *slog.Logger      // nil: silent
}
