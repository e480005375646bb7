package external

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/sync/singleflight"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"tenma/relay/wire/smtp"
)

// ErrRefused is a login that the source refuses.
var ErrRefused = errors.New("refused by the external source of accounts")

// errThis marks an error that says nothing about other questions.
var errThis = errors.New("this one cannot be answered")

// Figures of a Source.
const (
	coolDown   = 3 * time.Second // after it could not be asked
	staleFor   = time.Hour       // an address that was there may be taken to be there in an outage
	cacheSize  = 16 << 10        // addresses; some 3 MiB
	negativeOf = 5               // the part of Config.Known for which a no is remembered
)

// backend is who is asked. Errors are ErrRefused or tell of an outage.
type backend interface {
	verify(ctx context.Context, a smtp.Address, password string) error
	lookup(ctx context.Context, a smtp.Address) (bool, error)
}

// Source is an external source of accounts. Its methods may be called from any
// goroutine.
type Source struct {
	cfg   Config
	ask   backend
	slots chan struct{}
	same  singleflight.Group

	mu    sync.Mutex
	known map[smtp.Address]fact
	down  time.Time // nothing is asked before
	why   error     // of the outage
}

// fact is what was learned of an address.
type fact struct {
	exists bool
	at     time.Time
}

// New checks a configuration.
func New(c Config) (*Source, error) {
	c = c.withDefaults()
	s := &Source{cfg: c, slots: make(chan struct{}, c.Workers), known: map[smtp.Address]fact{}}
	var err error
	switch c.Kind {
	case LDAP:
		s.ask, err = newDirectory(c)
	case Command:
		s.ask, err = newProgram(c)
	default:
		err = fmt.Errorf("kind %q is neither %q nor %q", c.Kind, LDAP, Command)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Covers reports that accounts of a domain may be known to the source; local
// says that the domain lives here.
func (s *Source) Covers(d smtp.Domain, local bool) bool {
	if len(s.cfg.Domains) == 0 {
		return local
	}
	return slices.Contains(s.cfg.Domains, d)
}

// Verify checks a password. a is in its canonical spelling. The error is
// ErrRefused for a wrong one and for an unknown address; any other says that it
// could not be told now.
func (s *Source) Verify(ctx context.Context, a smtp.Address, password string) error {
	// An LDAP server takes a bind without a password as an anonymous one and
	// answers "success" (RFC 4513 section 5.1.2): it must never be asked.
	if password == "" || !nameable(a.Local) || !askable(password) {
		return ErrRefused
	}
	err := s.question(ctx, func(ctx context.Context) error { return s.ask.verify(ctx, a, password) })
	if err == nil {
		s.learn(a, true)
	}
	return err
}

// Exists reports whether there is an account of that address. a is in its
// canonical spelling. An error says that it could not be told now; in an outage
// an address that was seen within the hour is still taken to be there.
func (s *Source) Exists(a smtp.Address) (bool, error) {
	if !nameable(a.Local) {
		return false, nil
	}
	s.mu.Lock()
	f, ok := s.known[a]
	s.mu.Unlock()
	age := time.Since(f.at)
	switch {
	case ok && f.exists && age < s.cfg.Known, ok && !f.exists && age < s.cfg.Known/negativeOf:
		return f.exists, nil
	}
	v, err, _ := s.same.Do(a.String(), func() (any, error) {
		found := false
		err := s.question(context.Background(), func(ctx context.Context) (err error) {
			found, err = s.ask.lookup(ctx, a)
			return err
		})
		if err == nil {
			s.learn(a, found)
		}
		return found, err
	})
	if err != nil {
		if ok && f.exists && age < staleFor {
			return true, nil
		}
		return false, err
	}
	return v.(bool), nil
}

// Forget drops what was learned of an address.
func (s *Source) Forget(a smtp.Address) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, a)
}

// question asks one, within the bounds on time and number, unless the source was
// found silent just now.
func (s *Source) question(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return fmt.Errorf("too many questions at a time: %w", ctx.Err())
	}
	if err := s.outage(); err != nil {
		return err
	}
	err := ask(ctx)
	if err == nil || errors.Is(err, ErrRefused) || errors.Is(err, errThis) || errors.Is(context.Cause(ctx), context.Canceled) {
		return err
	}
	s.mu.Lock()
	s.down, s.why = time.Now().Add(coolDown), err
	s.mu.Unlock()
	s.cfg.Log.Error("the external source of accounts cannot be asked: logins and addresses that depend on it are put off", "kind", s.cfg.Kind, "err", err)
	return err
}

// outage is the error while the source is left alone.
func (s *Source) outage() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().Before(s.down) {
		return s.why
	}
	return nil
}

// learn remembers what was said of an address. When there is no more room, some
// old fact goes.
func (s *Source) learn(a smtp.Address, exists bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.known[a]; !there && len(s.known) >= cacheSize {
		const sample = 8
		var oldest smtp.Address
		var at time.Time
		n := 0
		for k, f := range s.known { // begins anywhere
			if n == 0 || f.at.Before(at) {
				oldest, at = k, f.at
			}
			if n++; n == sample {
				break
			}
		}
		delete(s.known, oldest)
	}
	s.known[a] = fact{exists: exists, at: time.Now()}
}

// nameable reports a local part that is its own only spelling. Directories compare
// names after folding their case, by compatibility form, and without spaces at
// the ends and what nobody sees (RFC 4518 section 2): " ann" and "ann" would both
// be there, with one password and a mailbox and limits each.
func nameable(local string) bool {
	if !askable(local) || strings.ContainsFunc(local, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.In(r, unicode.Cf, unicode.Variation_Selector) || r == '\u034f' || r == '\ufffc'
	}) {
		return false
	}
	return norm.NFKC.String(cases.Fold().String(local)) == local
}

// askable reports text that no line, filter or name is broken by. What it
// excludes nobody has in a name or password.
func askable(text string) bool {
	const most = 1024
	return len(text) <= most && !strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar })
}
