package imap

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
	Hostname    string
	Listeners   []Listener
	Limits      door.Limits
	Grace       time.Duration // for what is going on when the relay stops; 0: 10 s
	CommandSize int           // octets of one command, literals of APPEND not counted
	MessageSize int64         // octets of the largest message that APPEND may bring, as the store's; 0: 50 MiB
	Version     string        // told to clients that ask (RFC 2971); "": not told
	// MaxTransfer is how many messages one COPY or MOVE may bring: all go in one step
	// of the store, which is held in memory until it is done, some 2 KiB for each. 0:
	// 200,000.
	MaxTransfer int
	// MaxIdle is how long a session may be silent: RFC 9051 section 5.4 asks for
	// 30 minutes at least.
	MaxIdle time.Duration
}

// Listener is one [[listen]] of protocol imap.
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
	Metrics   *metrics.IMAP                                       // nil: counted for nobody
	Log       *slog.Logger                                        // nil: slog.Default
	Listen    func(network, address string) (net.Listener, error) // nil: net.Listen
}
