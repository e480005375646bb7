// Package acme reads [acme]: which certificates are to be had from an authority that
// speaks ACME (RFC 8555), such as Let's Encrypt, and how it may see that the names are
// ours.
//
// Read is its only entry point.
package acme

import (
	"net"
	"net/url"
	"slices"
	"strings"

	"tenma/relay/config/document"
)

// Settings are [acme].
type Settings struct {
	Names     []string // host names, each of which gets a certificate; none: ACME is off
	Email     string   // where the authority writes to; "": nowhere
	Directory string   // URL of the authority's directory
	CA        string   // PEM file that vouches for the directory's own host; "": the system's roots
	Challenge string   // HTTP or TLSALPN
	Address   string   // where the challenge is answered while one is under way
	Dir       string   // where account, keys and certificates are kept, absolute
}

// The challenges by which an authority sees that a name leads here (RFC 8555 section
// 8.3, RFC 8737).
const (
	HTTP    = "http-01"
	TLSALPN = "tls-alpn-01"
)

// Directories of Let's Encrypt (letsencrypt.org/docs/acme-protocol-updates, and
// docs/staging-environment).
const (
	LetsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"
	Staging     = "https://acme-staging-v02.api.letsencrypt.org/directory"
)

// maxNames bounds the names: an authority lets an account have some hundred in a week.
const maxNames = 100

// Read reads [acme]. own are the names for which a certificate is wanted where none are
// given; listeners the addresses that are taken by others.
func Read(s *document.Section, own, listeners []string) Settings {
	c := Settings{Challenge: HTTP, Directory: "letsencrypt"}
	wanted := len(s.Keys) > 0
	namesAt := s.Strings("names", true, func(v *document.Value) {
		if d, ok := s.DomainOf("names", v); ok {
			if d.IsLiteral() || !strings.Contains(string(d), ".") {
				s.Errorf(v.At, "names: no public authority gives a certificate to %q", v.Text)
			}
			c.Names = append(c.Names, string(d))
		}
	})
	s.String("email", &c.Email)
	agreed := false
	s.Bool("agree_to_terms", &agreed)
	directoryAt := s.String("directory", &c.Directory)
	s.String("ca", &c.CA)
	s.Choice("challenge", &c.Challenge, HTTP, TLSALPN)
	addressAt := s.String("address", &c.Address)
	s.Close()
	if !wanted {
		return Settings{}
	}
	if namesAt == nil {
		c.Names = own
	}
	if len(c.Names) > maxNames {
		s.Errorf(namesAt.At, "more than %d names", maxNames)
	}
	if !agreed {
		s.Errorf(s.At, "[acme] has no agree_to_terms = true: the authority gives certificates to those who agree to its terms, and only you can")
	}
	switch c.Directory {
	case "letsencrypt":
		c.Directory = LetsEncrypt
	case "staging":
		c.Directory = Staging
	default:
		if u, err := url.Parse(c.Directory); err != nil || u.Scheme != "https" || u.Host == "" {
			s.Errorf(directoryAt.At, `directory: want "letsencrypt", "staging" or an https URL`)
		}
	}
	at := s.At
	if addressAt != nil {
		at = addressAt.At
	} else {
		c.Address = map[string]string{HTTP: ":80", TLSALPN: ":443"}[c.Challenge]
	}
	_, port, err := net.SplitHostPort(c.Address)
	if err != nil {
		s.Errorf(at, `address: want "HOST:PORT" or ":PORT"`)
	}
	if slices.ContainsFunc(listeners, func(l string) bool { _, p, _ := net.SplitHostPort(l); return p == port }) {
		s.Errorf(at, "a [[listen]] has port %s, on which the challenge %s is answered; take the other challenge, or have the port led elsewhere and set address", port, c.Challenge)
	}
	return c
}
