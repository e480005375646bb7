package setup

import (
	"cmp"
	"slices"

	"tenma/relay/wire/smtp"
)

// Protocol is what a mail program speaks to a service.
type Protocol string

// The protocols of mail programs.
const (
	IMAP       Protocol = "imap"
	POP3       Protocol = "pop3"
	Submission Protocol = "submission"
)

// Service is one port that mail programs can use.
type Service struct {
	Protocol Protocol
	Port     uint16
	Implicit bool // TLS from the first octet; otherwise STARTTLS
}

// Config is what mail programs are told. Package relay/config fills it.
type Config struct {
	Host     string        // that programs connect to; a name, or they refuse the certificate
	MX       string        // that other mail servers connect to
	Domains  []smtp.Domain // that live here
	Services []Service     // in any order
	HTTP     bool          // some listener serves Handler
	STS      STSMode
}

// STSMode is how the MTA-STS policy wants failures of TLS treated (RFC 8461
// section 3.2).
type STSMode string

// The modes; off serves no policy.
const (
	STSOff     STSMode = "off"
	STSTesting STSMode = "testing"
	STSEnforce STSMode = "enforce"
)

// of gives the services of a protocol, implicit TLS first: no octet of such a
// connection is in the clear (RFC 8314 section 3).
func (c *Config) of(p Protocol) []Service {
	var all []Service
	for _, s := range c.Services {
		if s.Protocol == p && !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	slices.SortStableFunc(all, func(a, b Service) int {
		if a.Implicit != b.Implicit {
			return cmp.Compare(rank(a), rank(b))
		}
		return cmp.Compare(a.Port, b.Port)
	})
	return all
}

func rank(s Service) int {
	if s.Implicit {
		return 0
	}
	return 1
}

// has reports that a domain's mailboxes live here.
func (c *Config) has(d smtp.Domain) bool { return slices.Contains(c.Domains, d) }
