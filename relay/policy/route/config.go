package route

import (
	"crypto/tls"
	"net/netip"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// Config is what an Adviser is told.
type Config struct {
	Hostname            string        // our own name: an MX that bears it is a loop
	Rules               []Rule        // first match wins, before Local; but see Rule.Domain
	Local               []smtp.Domain // domains whose mailboxes live here
	Returns             smtp.Domain   // where mail about our mail comes to, "" for nowhere; it has a lane of its own
	Port                uint16        // of MX hosts; 0: 25
	PrivateDestinations bool          // MX at loopback or private addresses may be used
	Source              mail.Source   // the outbound identity
	Own                 []netip.Addr  // our own addresses that listen on Port, for loop detection
	OwnNames            []string      // our own names besides Hostname, likewise
}

// Rule is one [[route]].
type Rule struct {
	// Domain is "corp.test", "*.corp.test" (below it, not itself) or "*": all
	// but the domains of Local, so that a smarthost for the world does not take
	// the mail of mailboxes that are here.
	Domain string
	Kind   mail.Kind // ByMX, ByHost, Discard, Local
	Hosts  []mail.Host
	LMTP   bool
	TLS    mail.TLSDemand
	Auth   *mail.Credentials
	// Certificate is shown to hosts that ask for one; nil: none is.
	Certificate *tls.Certificate
}
