package tenant

import (
	"errors"
	"fmt"
	"strings"

	"tenma/relay/wire/smtp"
)

// Tenant is one [[tenant]].
type Tenant struct {
	Name string // see ParseName
	// Domains are those that it may send as and be signed for, with all below
	// them. Two tenants may have the same domain.
	Domains []smtp.Domain
	// Accounts are the logins that are this tenant: "ann@shop.test", or
	// "@shop.test" for every account of exactly that domain. Lower case.
	Accounts []string

	VERP        bool   // mail goes out with a signed return path for each recipient
	Unsubscribe bool   // mail gets a link for one-click unsubscription (RFC 8058)
	FeedbackID  string // text of the field Feedback-ID; "": none is added
}

// Config is what an Adviser is told. No name and no account stands in it twice.
type Config struct{ Tenants []Tenant }

// MaxName is the length of the longest name of a tenant, in octets: it stands in
// every record of the mail log, and in labels of metrics.
const MaxName = 64

// ParseName reads the name of a tenant: letters a to z, digits, "-", "_" and "."
// inside. In the mail log it stands before an "@" and behind a ":", so it has
// neither. Case does not count: the result is in lower case.
func ParseName(s string) (string, error) {
	switch {
	case s == "":
		return "", errors.New("it is empty")
	case len(s) > MaxName:
		return "", fmt.Errorf("it is longer than %d octets", MaxName)
	}
	s = strings.ToLower(s)
	for i, c := range []byte(s) {
		plain := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !plain && (i == 0 || i == len(s)-1 || c != '-' && c != '_' && c != '.') {
			return "", errors.New(`it must be letters a to z, digits, and "-", "_" and "." between them`)
		}
	}
	return s, nil
}

// Granted gives the domains of each tenant by its name, nil where there is none.
func (c Config) Granted() map[string][]smtp.Domain {
	if len(c.Tenants) == 0 {
		return nil
	}
	g := make(map[string][]smtp.Domain, len(c.Tenants))
	for _, t := range c.Tenants {
		g[t.Name] = t.Domains
	}
	return g
}
