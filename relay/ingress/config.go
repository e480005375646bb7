package ingress

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"tenma/metrics"
	"tenma/relay/ingress/front"
	"tenma/relay/ingress/rate"
)

// Config is what one Server is told. Package relay/config fills it.
type Config struct {
	Hostname  string // in the banner and EHLO reply
	Listeners []Listener
	Limits    Limits
	Accounts  AccountLimits // of mail that is submitted

	// Grace is how long a message in progress may take to end after Run's
	// context is cancelled; 0: 30 s.
	Grace time.Duration
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
	TrustTenantHeader bool           // clients that may relay name the tenant in a header field
	ProxyFrom         []netip.Prefix // peers that must send a PROXY header first
	Limits            *Limits        // nil: Config.Limits
}

// Limits bound what one client can ask for; the front keeps most of them. Zero
// fields take DefaultLimits'.
type Limits = front.Limits

// AccountLimits bound how many messages and recipients an hour one account may
// submit, on all submission listeners and connections together; 0: no limit. A
// message too many is a 450, so that a mail program keeps it and tries again.
type AccountLimits = rate.Limits

// DefaultLimits are the limits where the configuration is silent.
func DefaultLimits() Limits { return front.DefaultLimits() }

// Deps are what a Server works with.
type Deps struct {
	Intake    Intake
	Directory Directory
	// Suppressions is asked besides Directory for mail that clients relay; nil:
	// nobody is.
	Suppressions Suppressions
	Auth         Authenticator // nil: AUTH is not offered
	Tenants      Tenants       // nil: no account has a tenant
	Record       Recorder
	TLS          *tls.Config                                         // nil: STARTTLS is not offered
	Metrics      *metrics.Ingress                                    // nil: counted for nobody
	Log          *slog.Logger                                        // nil: slog.Default
	Listen       func(network, address string) (net.Listener, error) // nil: net.Listen
}
