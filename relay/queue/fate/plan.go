package fate

import (
	"time"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// Plan is what there is to do for a message now. Its slices are reused.
type Plan struct {
	Due     []int // to be tried
	Expired []int
	Next    time.Time // when the earliest of the others is due; zero: there is none
	NextOne int       // that recipient
}

// Set sorts the recipients that are neither final nor out (in an open part or
// settlement). A due time further off than any that we would set was written
// under another clock and counts as due.
func (p *Plan) Set(c *Rules, e *mail.Envelope, s *mail.State, out []bool, now time.Time) {
	p.Due, p.Expired, p.Next = p.Due[:0], p.Expired[:0], time.Time{}
	if s.Held {
		return
	}
	over := !now.Before(Expiry(c, e.Received, e.Expire))
	absurd := now.Add(longest(c))
	for i := range s.Recipients {
		r := &s.Recipients[i]
		switch {
		case r.Fate.Final() || out[i]:
		case over:
			p.Expired = append(p.Expired, i)
		case r.Due.After(now) && r.Due.Before(absurd):
			if p.Next.IsZero() || r.Due.Before(p.Next) {
				p.Next, p.NextOne = r.Due, i
			}
		default:
			p.Due = append(p.Due, i)
		}
	}
}

// Routes tells what is known of a domain's route without waiting.
type Routes interface {
	Cached(d smtp.Domain, e *mail.Envelope) (r mail.Route, o *mail.Outcome, ok bool)
}

// ByDestination calls fn for each group of the recipients to that one attempt
// can serve, with a domain of theirs and the group in its order. Mail to
// configured hosts is grouped by lane. Other mail is grouped by domain even
// within a lane, since what an MX host must show (MTA-STS) is judged per domain.
func ByDestination(e *mail.Envelope, to []int, routes Routes, fn func(d smtp.Domain, to []int)) {
	if len(to) == 1 {
		fn(e.Recipients[to[0]].Address.Domain, to)
		return
	}
	type group struct {
		first smtp.Domain
		to    []int
	}
	var order []*group
	byDomain, byLane := map[smtp.Domain]*group{}, map[mail.Lane]*group{}
	for _, i := range to {
		d := e.Recipients[i].Address.Domain
		g := byDomain[d]
		if g == nil {
			r, o, known := routes.Cached(d, e)
			shared := known && o == nil && r.Kind == mail.ByHost
			if shared {
				g = byLane[r.Lane]
			}
			if g == nil {
				g = &group{first: d}
				order = append(order, g)
			}
			if byDomain[d] = g; shared {
				byLane[r.Lane] = g
			}
		}
		g.to = append(g.to, i)
	}
	for _, g := range order {
		fn(g.first, g.to)
	}
}

// Class is the place of a priority among the lists of a lane: 0 goes first.
func Class(p mail.Priority) uint8 {
	switch {
	case p > mail.Normal:
		return 0
	case p == mail.Normal:
		return 1
	}
	return 2
}
