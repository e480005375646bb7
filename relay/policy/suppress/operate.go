package suppress

import (
	"context"
	"time"

	"tenma/relay/wire/smtp"
)

// Selection says which entries a listing or an undo means: those for which all
// holds that is set.
type Selection struct {
	Address  smtp.Address // without a local part: the domain, its addresses included
	Tenant   string
	Campaign string
	Reason   Reason
	Rule     string
	Provider string
	Since    time.Time // made then or later
	Held     bool      // held ones, and no others
}

// fits reports whether e is meant.
func (s *Selection) fits(e *Entry) bool {
	return e.Held == s.Held &&
		(s.Tenant == "" || s.Tenant == e.Tenant) && (s.Campaign == "" || s.Campaign == e.Campaign) &&
		(s.Reason == 0 || s.Reason == e.Reason) && (s.Rule == "" || s.Rule == e.Rule) &&
		(s.Provider == "" || s.Provider == e.Provider) && !e.Created.Before(s.Since) &&
		(s.Address.Domain == "" || s.Address.Domain == e.Domain) && (s.Address.Local == "" || fold(s.Address.Local) == e.Local)
}

// scanMost bounds the entries that one page looks at, so that a page which finds
// little answers in a fraction of a second.
const scanMost = 200_000

// Page gives entries by domain and local part, at most limit, of those behind
// after; the zero Key is before all. With more, next leads on: a page may be short
// of limit, even empty, and not be the last.
func (l *List) Page(s Selection, after Key, limit int) (page []Entry, next Key, more bool, err error) {
	from := after
	if start := (Key{Domain: s.Address.Domain, Local: fold(s.Address.Local)}); after == (Key{}) {
		from = start
	}
	looked := 0
	next = after
	err = l.store.Scan(s.Held, from, func(e *Entry) bool {
		switch {
		case e.Key == after:
			return true
		case s.Address.Domain != "" && e.Domain != s.Address.Domain, s.Address.Local != "" && e.Local != fold(s.Address.Local):
			return false // all that it means stand together
		case len(page) >= limit || looked >= scanMost:
			more = true
			return false
		}
		looked++
		next = e.Key
		if s.fits(e) {
			page = append(page, *e)
		}
		return true
	})
	return page, next, more, err
}

// Delete removes entries of one address or domain: the one of a scope, or with all
// those of every scope, held ones too.
func (l *List) Delete(ctx context.Context, a smtp.Address, tenant, campaign string, all bool) (int, error) {
	k, err := NewKey(a, tenant, campaign)
	if err != nil {
		return 0, err
	}
	c := Change{Now: time.Now()}
	for _, held := range []bool{false, true} {
		if !all {
			c.Remove = append(c.Remove, Removal{Key: k, Held: held})
			continue
		}
		err := l.store.Scan(held, Key{Domain: k.Domain, Local: k.Local}, func(e *Entry) bool {
			if e.Domain != k.Domain || e.Local != k.Local {
				return false
			}
			c.Remove = append(c.Remove, Removal{Key: e.Key, Held: held})
			return true
		})
		if err != nil {
			return 0, err
		}
	}
	done, err := l.change(ctx, c)
	return done.Removed, err
}

// Undo removes the entries that failures made (HardBounce, Returned) and that are
// meant, and gives their number; dry only counts them. What people said stays.
func (l *List) Undo(ctx context.Context, s Selection, dry bool) (int, error) {
	n, err := l.each(s, func(found []Entry) (int, error) {
		if dry {
			return len(found), nil
		}
		c := Change{Now: time.Now()}
		for i := range found {
			c.Remove = append(c.Remove, Removal{Key: found[i].Key, Held: s.Held, If: found[i].Created})
		}
		done, err := l.change(ctx, c)
		return done.Removed, err
	})
	if !dry {
		l.metrics.Undone.Add(float64(n))
	}
	return n, err
}

// Release puts held entries that are meant in force, and gives their number.
func (l *List) Release(ctx context.Context, s Selection) (int, error) {
	s.Held = true
	return l.moveAll(ctx, s, time.Now(), false)
}

// moveAll holds entries that are meant, or releases held ones.
func (l *List) moveAll(ctx context.Context, s Selection, now time.Time, hold bool) (int, error) {
	return l.each(s, func(found []Entry) (int, error) {
		c := Change{Now: now}
		for _, e := range found {
			c.Remove = append(c.Remove, Removal{Key: e.Key, Held: e.Held, If: e.Created})
			if e.Held, e.Expires = hold, l.end(e.Reason, now); hold {
				e.Expires = now.Add(l.config.Load().HoldFor)
			}
			c.Put = append(c.Put, e)
		}
		done, err := l.change(ctx, c)
		return done.Removed, err
	})
}

// each gives fn the entries that failures made and that are meant, some at a time,
// and sums what it says. fn may remove them.
func (l *List) each(s Selection, fn func([]Entry) (int, error)) (sum int, err error) {
	for since, again := s.Since, true; again; {
		var found []Entry
		last := since
		again = false
		err := l.store.Made(s.Held, since, func(e *Entry) bool {
			if len(found) >= batch && e.Created.After(last) { // those of one second stay together
				again = true
				since = e.Created
				return false
			}
			last = e.Created
			if s.fits(e) {
				found = append(found, *e)
			}
			return true
		})
		if err == nil && len(found) > 0 {
			var n int
			n, err = fn(found)
			sum += n
		}
		if err != nil {
			return sum, err
		}
	}
	return sum, nil
}
