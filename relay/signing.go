package relay

import (
	"slices"

	"tenma/relay/config"
	"tenma/relay/policy/dkim"
)

// signing gives the keys that the configuration names, and of those that the
// relay keeps the ones that sign now.
func (r *Relay) signing(c *config.Config) dkim.Config {
	d := c.DKIM
	d.Keys = append(slices.Clone(d.Keys), r.rotation.Keys()...)
	return d
}

// otherKeys puts the keys in force that sign from now on.
func (r *Relay) otherKeys() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.signer.Apply(r.signing(r.config))
}
