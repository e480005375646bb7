package door

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"
)

// TLSMode says how a listener uses TLS.
type TLSMode string

// The modes, spelled as in the configuration.
const (
	TLSOff      TLSMode = "off"
	TLSStart    TLSMode = "starttls"
	TLSImplicit TLSMode = "implicit"
)

// Limits bound what clients can take of a listener. Zero fields take
// DefaultLimits'.
type Limits struct {
	Connections      int // open at a time, on this listener
	ConnectionsPerIP int // of one IPv4 address or IPv6 /64
	RatePerIP        int // new connections per minute of one of those; 0: no limit
}

// Config is what a Door is told.
type Config struct {
	Name      string // for log and metrics: the address as configured
	Protocol  string // "imap", "pop3"
	TLS       *tls.Config
	Mode      TLSMode
	ProxyFrom []netip.Prefix // peers that must send a PROXY header first
	Limits    Limits
	Grace     time.Duration // how long connections may take to end after Serve's context is cancelled
	// Refusal gives the line, CRLF included, that a client hears who may not
	// come in; reason is "drain", "total", "address" or "rate".
	Refusal func(reason string) string
	Log     *slog.Logger
}

// Door is one listener.
type Door struct{ cfg Config }

// New makes a Door of a listener. It starts no goroutine.
func New(inner net.Listener, cfg Config) *Door { return &Door{cfg: cfg} }

// Addr is the address that it listens on.
func (d *Door) Addr() net.Addr { return nil }

// Apply changes the limits, for connections to come.
func (d *Door) Apply(l Limits) {}

// Close stops accepting. Only for a Door that Serve has not been called of.
func (d *Door) Close() error { return nil }

// Serve accepts until ctx is cancelled and calls handle for each connection
// that may come in, in a goroutine of its own; after handle the connection is
// closed. When ctx is cancelled, each Conn's Draining is closed; connections
// that are still open after Config.Grace are closed. It returns when every
// handle has returned; its error is that of a listener that failed.
func (d *Door) Serve(ctx context.Context, handle func(ctx context.Context, c *Conn)) error {
	return errors.New("door: not built")
}

// Conn is a connection that was let in. With implicit TLS the handshake
// happens before handle is called.
type Conn struct{ net.Conn }

// Client is who connects, also behind a proxy.
func (c *Conn) Client() netip.AddrPort { return netip.AddrPort{} }

// TLS is nil on plaintext.
func (c *Conn) TLS() *tls.ConnectionState { return nil }

// CanStartTLS reports that StartTLS is to be offered.
func (c *Conn) CanStartTLS() bool { return false }

// StartTLS shakes hands; the caller has told the client to begin and holds no
// octet of it that is unread. After an error the connection is of no more use.
func (c *Conn) StartTLS() error { return errors.New("door: not built") }

// Draining is closed when the relay stops: end between two commands.
func (c *Conn) Draining() <-chan struct{} { return nil }
