package config

import (
	"slices"

	"tenma/relay/config/acme"
)

// acme reads [acme]. Listeners and [setup] have been read.
func (r *reader) acme(s *section, c *Config) {
	own := []string{c.Hostname}
	if h := c.Setup.Host; h != "" && !slices.Contains(own, h) {
		own = append(own, h)
	}
	var taken []string
	for _, l := range c.Ingress.Listeners {
		taken = append(taken, l.Address)
	}
	for _, l := range c.Admin.Listeners {
		taken = append(taken, l.Address)
	}
	c.ACME = acme.Read(s, own, taken)
	if len(c.ACME.Names) == 0 {
		return
	}
	c.ACME.Dir = c.InData(ACMEDir)
	if c.ACME.CA != "" {
		c.ACME.CA = r.path(c.ACME.CA, true)
	}
	if !c.TLS.SelfSigned {
		s.Errorf(s.At, "[acme] and a certificate in [tls]: which of them are listeners to show? leave one out")
	}
}
