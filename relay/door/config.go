package door

import (
	"crypto/tls"
	"log/slog"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
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

// DefaultLimits are the limits where the configuration is silent. Mail programs
// keep some five connections each, and an office or a carrier's NAT is one
// address.
func DefaultLimits() Limits {
	return Limits{Connections: 32768, ConnectionsPerIP: 1024}
}

func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	if l.Connections <= 0 {
		l.Connections = d.Connections
	}
	if l.ConnectionsPerIP <= 0 {
		l.ConnectionsPerIP = d.ConnectionsPerIP
	}
	if l.RatePerIP <= 0 {
		l.RatePerIP = d.RatePerIP
	}
	return l
}

// defaultGrace is Config.Grace where it is zero.
const defaultGrace = 10 * time.Second

// Config is what a Door is told.
type Config struct {
	Name      string      // for log and metrics: the address as configured
	Protocol  string      // "imap", "pop3"
	TLS       *tls.Config // its GetCertificate may give another one for each handshake
	Mode      TLSMode
	ProxyFrom []netip.Prefix // peers that must send a PROXY header first
	Limits    Limits
	// Grace is how long connections may take to end after Serve's context is
	// cancelled; 0: 10 s.
	Grace time.Duration
	// Refusal gives the line, CRLF included, that a client hears who may not
	// come in; reason is "drain", "total", "address" or "rate". Nil: none. With
	// implicit TLS nobody hears it.
	Refusal func(reason string) string
	// PlainOnTLS is the line, CRLF included, that a client hears, in plaintext, who
	// speaks plaintext or waits for a greeting where TLS comes first. "": none.
	PlainOnTLS string
	Metrics    Metrics
	Log        *slog.Logger // nil: slog.Default
}

// Metrics are collectors that a Door keeps, each labelled by listener
// (Config.Name) first. Nil ones are left out.
type Metrics struct {
	Connections *prometheus.CounterVec // accepted by the kernel; listener
	Refused     *prometheus.CounterVec // that got no session; listener, reason: drain, total, address, rate, proxy
	Sessions    *prometheus.GaugeVec   // open; listener
	TLSSessions *prometheus.CounterVec // handshakes; listener, result: good, failed
}

func count(v *prometheus.CounterVec, labels ...string) {
	if v != nil {
		v.WithLabelValues(labels...).Inc()
	}
}

func (d *Door) countSession(n float64) {
	if v := d.cfg.Metrics.Sessions; v != nil {
		v.WithLabelValues(d.cfg.Name).Add(n)
	}
}
