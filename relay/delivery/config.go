package delivery

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/netip"
	"time"

	"tenma/metrics"
	"tenma/relay/mail"
)

// Config is what a Client is told.
type Config struct {
	Hostname            string // said in EHLO where a route's source names none
	Timeouts            Timeouts
	PrivateDestinations bool // addresses of loopback and private networks may be dialled
	NoPipelining        bool
	NoBDAT              bool
	ConnectionMessages  int          // messages on one connection; 0: 100
	BatchRecipients     int          // recipients in one transaction; 0: 100
	LaneConnections     int          // open sockets of a lane, idle ones included; 0: 10
	IdleConnections     int          // at rest, of all lanes; 0: 2,000. Mail to many small domains leaves one at rest for each, for as long as Timeouts.Idle
	TLSMinimum          uint16       // 0: TLS 1.0 where any TLS is better than none, 1.2 where it is demanded
	Own                 []netip.Addr // our own listening addresses: no MX there is dialled, unless PrivateDestinations
}

// Timeouts are the longest waits of a client. Zero fields take Defaults'.
type Timeouts struct {
	Connect, Banner, EHLO, StartTLS, Mail, Rcpt, Data, Block, Dot, Reset, Quit, Idle time.Duration
}

// DefaultTimeouts are what practice has settled on inside the minima of
// RFC 5321 section 4.5.3.2, except that connect, banner and EHLO are shorter
// than its 5 minutes: an attempt that fails there repeats nothing. The final
// dot keeps its 10 minutes, since giving up there makes duplicates.
func DefaultTimeouts() Timeouts {
	return Timeouts{
		Connect: 30 * time.Second, Banner: 60 * time.Second, EHLO: 60 * time.Second, StartTLS: 30 * time.Second,
		Mail: 120 * time.Second, Rcpt: 120 * time.Second, Data: 120 * time.Second, Block: 180 * time.Second,
		Dot: 600 * time.Second, Reset: 5 * time.Second, Quit: 5 * time.Second, Idle: 60 * time.Second,
	}
}

// Deps are what a Client works with.
type Deps struct {
	Resolver Resolver
	Dialer   Dialer         // nil: the system's
	Roots    *x509.CertPool // nil: the system's
	Renderer Renderer       // nil: mail that a host cannot take as it is fails
	Metrics  *metrics.Delivery
	Log      *slog.Logger // nil: silence
	Seed     uint64       // of the order among equal preferences
}

// complete fills in what a Config leaves at zero.
func (c Config) complete() *Config {
	d, t := DefaultTimeouts(), &c.Timeouts
	for _, f := range [...]struct {
		field *time.Duration
		value time.Duration
	}{
		{&t.Connect, d.Connect},
		{&t.Banner, d.Banner},
		{&t.EHLO, d.EHLO},
		{&t.StartTLS, d.StartTLS},
		{&t.Mail, d.Mail},
		{&t.Rcpt, d.Rcpt},
		{&t.Data, d.Data},
		{&t.Block, d.Block},
		{&t.Dot, d.Dot},
		{&t.Reset, d.Reset},
		{&t.Quit, d.Quit},
		{&t.Idle, d.Idle},
	} {
		if *f.field <= 0 {
			*f.field = f.value
		}
	}
	c.ConnectionMessages = cmp.Or(max(c.ConnectionMessages, 0), 100)
	c.BatchRecipients = cmp.Or(max(c.BatchRecipients, 0), 100)
	c.LaneConnections = cmp.Or(max(c.LaneConnections, 0), 10)
	c.IdleConnections = cmp.Or(max(c.IdleConnections, 0), 2000)
	return &c
}

// minimum is the lowest version of TLS under a demand.
func (c *Config) minimum(d mail.TLSDemand) uint16 {
	switch {
	case c.TLSMinimum != 0:
		return c.TLSMinimum
	case d == mail.TLSOpportunistic:
		return tls.VersionTLS10
	}
	return tls.VersionTLS12
}
