package external

import (
	"context"
	"log/slog"
	"net"
	"time"

	"tenma/relay/wire/smtp"
)

// Kinds of source.
const (
	LDAP    = "ldap"
	Command = "command"
)

// Config is [auth], with the key of each field in the configuration. Zero
// fields take the defaults named here.
type Config struct {
	Kind    string        // kind: "ldap" or "command"
	Domains []smtp.Domain // domains: whose accounts it knows; none: those of each [[domain]]

	// Timeout bounds one question, connecting included; timeout, 0: 5 s.
	Timeout time.Duration
	// Workers bounds the questions asked at a time; workers, 0: 16.
	Workers int
	// Known is how long it is remembered that an address exists; remember, 0:
	// 5 minutes. That one does not exist is remembered for a fifth of it.
	Known time.Duration

	// Of kind "ldap".

	// URL of the server: "ldaps://host[:636]", or "ldap://host[:389]", which is
	// turned into TLS by StartTLS before anything else is said; url. ldapi is not
	// known.
	URL string
	// NoTLS leaves StartTLS out; for ldap:// to a loopback address only; no_tls.
	NoTLS bool
	// CA is a file of PEM certificates that the server's must come from; ca, "":
	// the system's.
	CA string
	// UserDN is the name that an account binds as, such as
	// "uid={local},ou=people,dc=example,dc=test". {address}, {local} and {domain}
	// stand for the parts of the address; user_dn. Without it an account is
	// searched for below Base.
	UserDN string
	// Base and Filter find an account's entry; base, filter. {address}, {local}
	// and {domain} as above; "(mail={address})" if Filter is "".
	Base, Filter string
	// BindDN and Password are the service account that searches; bind_dn and
	// password (or password_file). Without them the search is anonymous.
	BindDN, Password string

	// Of kind "command".

	// Command is the program and its arguments; command. "verify" or "lookup" is
	// added as the last one. It reads the address on the first line of its
	// standard input and, for "verify", the password on the second. Its exit
	// status is the answer: 0 yes, 1 no, any other: ask again later.
	Command []string

	Log *slog.Logger // nil: slog.Default
	// Dial connects to the LDAP server; nil: a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

func (c Config) withDefaults() Config {
	if c.Timeout == 0 {
		c.Timeout = 5 * time.Second
	}
	if c.Workers == 0 {
		c.Workers = 16
	}
	if c.Known == 0 {
		c.Known = 5 * time.Minute
	}
	if c.Filter == "" {
		c.Filter = "(mail={address})"
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Dial == nil {
		c.Dial = (&net.Dialer{}).DialContext
	}
	return c
}
