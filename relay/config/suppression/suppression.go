// Package suppression reads [suppression]: whose failures make entries of the
// suppression list, for how long entries hold, and when failures are taken for a
// storm.
package suppression

import (
	"strings"
	"time"

	"tenma/relay/config/document"
	"tenma/relay/policy/suppress"
)

const (
	day  = 24 * time.Hour
	year = 365 * day
)

// Read reads the section. Its Config has no domains of our own yet.
func Read(s *document.Section) suppress.Config {
	c := suppress.Config{Expire: suppress.DefaultExpire(), HoldFor: 30 * day}
	automatic := string(suppress.AutomaticAll)
	s.Choice("automatic", &automatic, string(suppress.AutomaticAll), string(suppress.AutomaticTenants), string(suppress.AutomaticOff))
	c.Automatic = suppress.Automatic(automatic)
	s.Duration("hold", &c.HoldFor, time.Hour, year)
	s.Strings("transactional", false, func(v *document.Value) {
		// Names of tenants are in lower case wherever they are written.
		c.Transactional = append(c.Transactional, strings.ToLower(v.Text))
	})
	c.Storm.Failures, c.Storm.Window = 50, 10*time.Minute
	s.Integer("storm_failures", &c.Storm.Failures, 5, 1e6)
	s.Duration("storm_window", &c.Storm.Window, time.Minute, day)
	factor := 5
	s.Integer("storm_factor", &factor, 2, 1000)
	c.Storm.Factor = float64(factor)
	expire := s.Sub("expire")
	for r := suppress.HardBounce; int(r) < suppress.Reasons; r++ {
		if v := expire.Duration(r.String(), &c.Expire[r], 0, 20*year); v != nil && c.Expire[r] > 0 && c.Expire[r] < day {
			s.Warnf(v.At, "entries of reason %s hold for less than a day: mail goes to the address again at once", r)
		}
	}
	expire.Close()
	s.Close()
	return c
}
