package pop3

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"tenma/metrics"
	"tenma/relay/door"
	"tenma/relay/mailbox"
)

// Config is what a Server is told. Zero fields take the defaults named here.
type Config struct {
	Hostname  string
	Listeners []Listener
	Limits    door.Limits
	Grace     time.Duration // for what is going on when the relay stops; 0: 10 s
	// MaxIdle is how long a session may be silent after the login: 10 minutes at
	// least, which RFC 1939 section 3 asks for and which 0 means.
	MaxIdle time.Duration
	// Expire is what EXPIRE (RFC 2449 section 6.7) announces, in days; 0 and
	// below: NEVER.
	Expire int
	// LoginDelay is the least time between two logins of one account (RFC 2449
	// section 6.5), in whole seconds; 0: none.
	LoginDelay time.Duration
}

// Listener is one [[listen]] of protocol pop3. Without TLS nobody can log in,
// so that TLSOff is of use only to those who test.
type Listener struct {
	Address   string // host:port
	TLS       door.TLSMode
	ProxyFrom []netip.Prefix
	Limits    *door.Limits  // nil: Config.Limits
	MaxIdle   time.Duration // 0: Config.MaxIdle
}

// Deps are what a Server works with.
type Deps struct {
	Mailboxes *mailbox.Store
	Auth      Authenticator
	TLS       *tls.Config
	// Expire gives the days after which what an account has fetched is removed
	// (mail.Settings.POP3Days, defaults applied); 0 and below: never. nil:
	// Config.Expire for all.
	Expire  func(account string) int
	Metrics *metrics.POP3                                       // nil: counted for nobody
	Log     *slog.Logger                                        // nil: slog.Default
	Listen  func(network, address string) (net.Listener, error) // nil: net.Listen
}

const (
	defaultGrace = 10 * time.Second
	minIdle      = 10 * time.Minute // RFC 1939 section 3
)

func (c Config) withDefaults() Config {
	if c.Grace <= 0 {
		c.Grace = defaultGrace
	}
	c.MaxIdle = max(c.MaxIdle, minIdle)
	c.LoginDelay = c.LoginDelay.Truncate(time.Second)
	return c
}
