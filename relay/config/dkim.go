package config

import (
	"path"
	"path/filepath"
	"strings"
	"time"

	"tenma/relay/config/document"
	"tenma/relay/policy/dkim"
	"tenma/relay/policy/dkim/rotation"
	"tenma/relay/wire/smtp"
)

// shortestRotation is the least that a key may sign before the relay makes
// another: the old one's record stays for ten days and more, and somebody has to
// publish the new one.
const shortestRotation = 30 * 24 * time.Hour

// dkim reads every [[dkim]]: one with a key's file, or one that names a domain
// alone, whose keys are kept in the data directory.
func (r *reader) dkim(s *section, c *Config) {
	c.Rotation = rotation.Config{Dir: filepath.Join(r.dataDir, DKIMDir), Hold: c.Queue.Expire}
	seen, ways := map[string]int{}, map[smtp.Domain]bool{}
	s.Each("dkim", func(s *section) {
		var k dkim.Key
		var domain, selector, key string
		var every time.Duration
		d, sel, f := s.String("domain", &domain), s.String("selector", &selector), s.String("key", &key)
		rotate := s.Duration("rotate", &every, shortestRotation, 10*year)
		if d == nil {
			s.Errorf(s.At, "[[dkim]] has no domain; \"tenma dkim new DOMAIN\" makes a key and prints these lines")
			return
		}
		k.Domain, _ = s.DomainOf("domain", d)
		keep := sel == nil && f == nil
		if was, ok := ways[k.Domain]; ok && (keep || was) {
			s.Errorf(d.At, "%s stands in another [[dkim]]: either each of its keys has a selector and a file, or one [[dkim]] names the domain alone", k.Domain)
		}
		ways[k.Domain] = keep
		if keep {
			r.keptKeys(s, d.At, k.Domain, c.Rotation.Dir)
			c.Rotation.Domains = append(c.Rotation.Domains, rotation.Domain{Name: k.Domain, Every: every})
			return
		}
		if rotate != nil {
			s.Errorf(rotate.At, "rotate is for keys that tenma keeps: leave out selector and key")
		}
		if sel == nil || f == nil {
			s.Errorf(s.At, "[[dkim]] has no %s; give selector and key, or leave out both and tenma keeps the keys in %s", map[bool]string{true: "selector", false: "key"}[sel == nil], c.Rotation.Dir)
		}
		if sel != nil {
			k.Selector = r.selector(s, sel, k.Domain, seen)
		}
		if f != nil {
			k.Path = r.path(key, true)
			r.key(s, f.At, k)
		}
		c.DKIM.Keys = append(c.DKIM.Keys, k)
	})
	r.unaligned(c, ways)
}

// unaligned warns of domains here that have no key though others have: their mail is
// signed for nobody, or for a domain that DMARC does not count (RFC 7489 section 3.1.1).
func (r *reader) unaligned(c *Config, keys map[smtp.Domain]bool) {
	for _, d := range c.Auth.Domains {
		has := len(keys) == 0
		for at, more := string(d), true; more && !has; {
			_, has = keys[smtp.Domain(at)]
			_, at, more = strings.Cut(at, ".")
		}
		if !has {
			r.Warnf(place{}, "mail from %s is not signed for its own domain, which is what DMARC counts: it has no [[dkim]], while others have; \"tenma dkim new %s\" makes a key", d, d)
		}
	}
}

// selector reads a name that no other key of d has.
func (r *reader) selector(s *section, v *value, d smtp.Domain, seen map[string]int) string {
	x, err := smtp.ParseDomain(v.Text)
	if err != nil || x.IsLiteral() {
		s.Errorf(v.At, "selector: %q is not a name in the DNS", document.Clip(v.Text))
		return ""
	}
	id := path.Join(string(d), string(x))
	if line := seen[id]; line > 0 {
		s.Errorf(v.At, "selector %s of %s stands in line %d already", x, d, line)
	}
	seen[id] = v.At.Line
	return string(x)
}

// keptKeys looks for a key that can be used, so that a domain without one stops
// the start rather than the mail.
func (r *reader) keptKeys(s *section, at place, d smtp.Domain, dir string) {
	if r.peek {
		return
	}
	files, err := r.keys(dir)
	switch {
	case err != nil:
		s.Errorf(at, "the keys in %s cannot be read: %s", dir, plain(err))
	case len(files[d]) == 0:
		s.Errorf(at, "there is no key of %s in %s; \"tenma dkim new %s\" makes one", d, dir, d)
	}
	for _, f := range files[d] {
		k := dkim.Key{Domain: d, Selector: f.Selector, Path: rotation.Path(dir, d, f.Selector)}
		if info := r.inspect(k); info.Warning != "" {
			s.Warnf(at, "key %s: %s", k.Path, info.Warning)
		} else if info.Err != nil {
			s.Warnf(at, "key %s cannot be used: %v", k.Path, info.Err)
		}
	}
}

// key looks into the file of a key, so that an unusable one stops the start
// rather than the mail.
func (r *reader) key(s *section, at place, k dkim.Key) {
	if r.peek {
		return
	}
	if _, err := r.readFile(k.Path); err != nil {
		s.Errorf(at, "key %s cannot be read: %s; \"tenma dkim new %s\" makes one", k.Path, plain(err), k.Domain)
		return
	}
	info := r.inspect(k)
	switch {
	case info.Err != nil:
		s.Errorf(at, "key %s cannot be used: %v", k.Path, info.Err)
	case info.Warning != "":
		s.Warnf(at, "key %s: %s", k.Path, info.Warning)
	}
}
