package mail

import (
	"crypto/tls"
	"net/netip"

	"tenma/relay/wire/mtasts"
	"tenma/relay/wire/smtp"
)

// Lane names a queue: a source and a site (design: source x site, or x
// provider). Limits, fair share, connections and shard ownership are by lane.
// It is text so that an operator can read it: "SOURCE->SITE".
type Lane string

// Kind says how a route is carried.
type Kind uint8

// Kinds of route.
const (
	ByMX    Kind = iota // SMTP to the domain's mail exchangers
	ByHost              // SMTP or LMTP to configured hosts (a smarthost)
	Local               // into a mailbox here
	Discard             // taken and dropped, on purpose
)

// TLSDemand is how safe a connection must be.
type TLSDemand uint8

// Demands, weakest first.
const (
	TLSOpportunistic TLSDemand = iota // STARTTLS if offered, any certificate
	TLSNone                           // never
	TLSRequired                       // STARTTLS or nothing, any certificate
	TLSVerified                       // STARTTLS or nothing, certificate must match the host
	TLSImplicit                       // TLS from the first octet, certificate must match (smtps)
	TLSDANE                           // STARTTLS or nothing, certificate must match the host's TLSA records
)

// Source is one of our outbound identities.
type Source struct {
	Name string
	IPv4 netip.Addr // zero: the system chooses
	IPv6 netip.Addr
	EHLO string // name said in EHLO
}

// Host is one next hop of a route.
type Host struct {
	Name string
	Port uint16
	Pref uint16     // lower is tried first; equal ones in random order (RFC 5321 section 5.1)
	Addr netip.Addr // set for an address literal; otherwise Name is looked up
}

// Credentials are for AUTH to a smarthost. They are only ever sent over a
// verified TLS connection or to loopback.
type Credentials struct{ User, Password string }

// Route is where mail of one domain goes. It is a value: a later answer of the
// DNS makes a new one.
type Route struct {
	Kind   Kind
	Lane   Lane
	Domain smtp.Domain // the recipient domain that was asked for
	Hosts  []Host      // lowest preference first
	LMTP   bool
	TLS    TLSDemand // what the configuration demands; Safety says what a host must show in the end
	Auth   *Credentials
	Source Source

	// Secure says that whoever named the hosts may be believed: the
	// configuration, or MX records that were validated (DNSSEC).
	Secure bool
	// STS is what the domain says by MTA-STS, nil for nothing. It is the
	// domain's affair, not the lane's: other mail of the lane may have another.
	STS *mtasts.Policy
	// Certificate is shown to hosts that ask for one; nil: none is.
	Certificate *tls.Certificate
}
