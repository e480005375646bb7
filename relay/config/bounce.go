package config

import "tenma/relay/bounce/classify"

// bounce reads [bounce]: what replies mean.
func (r *reader) bounce(s *section, c *Config) {
	var name string
	v := s.String("rules", &name)
	s.Close()
	if v == nil || r.peek {
		return
	}
	name = r.path(name, true)
	text, err := r.readFile(name)
	if err != nil {
		s.Errorf(v.At, "rules: the file %s cannot be read: %s", name, plain(err))
		return
	}
	if _, err := classify.Load(string(text)); err != nil {
		s.Errorf(v.At, "rules: %s: %s", name, err)
		return
	}
	c.Classify.Rules = string(text)
}
