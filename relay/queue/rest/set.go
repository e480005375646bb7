package rest

import (
	"slices"
	"time"
)

// Set are the lanes L that rest. The zero value is empty.
type Set[L comparable] struct {
	members []member[L]
	next    time.Time
}

type member[L comparable] struct {
	lane L
	rest *Rest
}

// Add enters a lane, until it leaves. It may be there already.
func (s *Set[L]) Add(l L, r *Rest) {
	if !slices.ContainsFunc(s.members, func(m member[L]) bool { return m.lane == l }) {
		s.members = append(s.members, member[L]{l, r})
	}
	s.until(r.until)
}

// Leave takes a lane out.
func (s *Set[L]) Leave(l L) {
	s.members = slices.DeleteFunc(s.members, func(m member[L]) bool { return m.lane == l })
}

// Len counts the lanes.
func (s *Set[L]) Len() int { return len(s.members) }

// Next is when Due is to be called; zero: no time is set.
func (s *Set[L]) Next() time.Time { return s.next }

// Due gives the lanes whose probe is due.
func (s *Set[L]) Due(now time.Time) (due []L) {
	if s.next.IsZero() || now.Before(s.next) {
		return nil
	}
	s.next = time.Time{}
	for _, m := range s.members {
		if now.Before(m.rest.until) {
			s.until(m.rest.until)
		} else {
			due = append(due, m.lane)
		}
	}
	return due
}

// Probe makes all probes due now.
func (s *Set[L]) Probe(now time.Time) {
	for _, m := range s.members {
		m.rest.Probe(now)
		s.until(now)
	}
}

func (s *Set[L]) until(at time.Time) {
	if s.next.IsZero() || at.Before(s.next) {
		s.next = at
	}
}
