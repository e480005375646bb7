package ingress

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"tenma/metrics"
)

// Config is what one Server is told. Package relay/config fills it.
type Config struct {
	Hostname  string // in the banner and EHLO reply
	Listeners []Listener
	Limits    Limits
}

// TLSMode says how a listener uses TLS.
type TLSMode string

// AuthMode says whether a listener offers or demands AUTH.
type AuthMode string

// BareLF says what happens to a line feed without a carriage return in a body.
type BareLF string

// The modes, spelled as in the configuration.
const (
	TLSOff      TLSMode  = "off"
	TLSStart    TLSMode  = "starttls"
	TLSImplicit TLSMode  = "implicit"
	AuthOff     AuthMode = "off"
	AuthOption  AuthMode = "optional"
	AuthMust    AuthMode = "required"
	LFRefuse    BareLF   = "refuse"
	LFNormalize BareLF   = "normalize"
	LFTrusted   BareLF   = "" // normalize where relay_from or AUTH vouches, else refuse
)

// Listener is one [[listen]] of protocol smtp or lmtp.
type Listener struct {
	Address           string // host:port
	LMTP              bool
	TLS               TLSMode
	Auth              AuthMode
	Submission        bool           // message submission (RFC 6409): AUTH demanded, header completed
	RelayFrom         []netip.Prefix // clients that may relay without AUTH
	BareLF            BareLF
	TrustTenantHeader bool
	ProxyFrom         []netip.Prefix // peers that must send a PROXY header first
	Limits            *Limits        // nil: Config.Limits
}

// Limits bound what one client can ask for. Zero fields take Defaults'.
type Limits struct {
	Connections      int           // open at a time, on this listener
	ConnectionsPerIP int           // of one IPv4 address or IPv6 /64
	Messages         int           // in one connection
	MessageSize      int64         // octets of body
	Recipients       int           // in one transaction
	Commands         int           // without a message in between
	Errors           int           // bad commands and refused recipients, in one connection
	RatePerIP        int           // new connections per minute of one IPv4 address or IPv6 /64; 0: no limit
	Idle             time.Duration // wait for a command
	IdleUnderLoad    time.Duration // the same above nine tenths of Connections
	Body             time.Duration // whole body
	BodyRate         int           // octets per second that a body must keep up, after a grace of Idle
}

// DefaultLimits are the limits where the configuration is silent (the design's
// practice page; idle is RFC 5321 section 4.5.3.2.7).
func DefaultLimits() Limits {
	return Limits{
		Connections: 32768, ConnectionsPerIP: 1024, Messages: 10000,
		MessageSize: 25 << 20, Recipients: 1024, Commands: 1000, Errors: 20,
		Idle: 300 * time.Second, IdleUnderLoad: 10 * time.Second,
		Body: 300 * time.Second, BodyRate: 256,
	}
}

// Deps are what a Server works with.
type Deps struct {
	Intake    Intake
	Directory Directory
	Auth      Authenticator // nil: AUTH is not offered
	Record    Recorder
	TLS       *tls.Config // nil: STARTTLS is not offered
	Metrics   *metrics.Ingress
	Log       *slog.Logger
	Listen    func(network, address string) (net.Listener, error) // nil: net.Listen
}
