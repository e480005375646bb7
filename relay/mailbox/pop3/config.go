package pop3

import (
	"context"
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
	// MaxIdle is how long a session may be silent: RFC 1939 section 3 asks for 10
	// minutes at least.
	MaxIdle time.Duration
	Expire  int // days in the EXPIRE capability (RFC 2449 section 6.7); below 0: NEVER
}

// Listener is one [[listen]] of protocol pop3.
type Listener struct {
	Address   string // host:port
	TLS       door.TLSMode
	ProxyFrom []netip.Prefix
	Limits    *door.Limits // nil: Config.Limits
}

// Deps are what a Server works with.
type Deps struct {
	Mailboxes *mailbox.Store
	Auth      Authenticator
	TLS       *tls.Config
	Metrics   *metrics.POP3                                       // nil: counted for nobody
	Log       *slog.Logger                                        // nil: slog.Default
	Listen    func(network, address string) (net.Listener, error) // nil: net.Listen
}

// Server serves mailboxes by POP3: New, then Listen, then Run; Apply and Addrs at
// any time after Listen.
type Server struct{}

// New builds a Server. Nothing listens yet.
func New(cfg Config, deps Deps) *Server { return &Server{} }

// Listen opens all listeners, or none and says which could not be.
func (s *Server) Listen() error { return nil }

// Addrs are the addresses of the listeners, in the order of Config.Listeners.
func (s *Server) Addrs() []net.Addr { return nil }

// Apply puts another configuration in force; other listeners want a restart.
func (s *Server) Apply(cfg Config) {}

// Run serves until ctx is cancelled, then drains.
func (s *Server) Run(ctx context.Context) error { <-ctx.Done(); return nil }
