package config

import (
	"time"

	"tenma/relay/policy/verdict"
)

// verdicts reads [verdicts]: what is done to find out where strangers' mail comes
// from.
func (r *reader) verdicts(s *section, c *Config) {
	v := &c.Verdict
	v.Hostname = c.Hostname
	check, action := true, string(verdict.Mark)
	s.Bool("check", &check)
	v.Off = !check
	dmarc := s.Choice("dmarc", &action, string(verdict.Mark), string(verdict.Reject))
	v.DMARC = verdict.Action(action)
	forwarders := s.Strings("forwarders", false, func(val *value) {
		if d, ok := s.DomainOf("forwarders", val); ok {
			v.Forwarders = append(v.Forwarders, d)
		}
	})
	s.Duration("timeout", &v.Patience, time.Second, 2*time.Minute)
	s.Close()
	switch {
	case v.Off && v.DMARC == verdict.Reject:
		s.Errorf(dmarc.At, "dmarc has nothing to go by: check is false")
	case forwarders != nil && v.DMARC != verdict.Reject:
		s.Warnf(forwarders.At, "forwarders are only asked about before a refusal; dmarc is not \"reject\"")
	}
}
