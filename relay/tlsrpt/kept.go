package tlsrpt

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"time"

	"tenma/relay/wire/smtp"
	"tenma/relay/wire/tlsrpt"
)

// keptFor is how long after its day an account is of use: the hours in which
// reports go out, a day of tries, and some more for a relay that stood still.
const keptFor = 3 * day

// kept is one account as a Keeper has it, one JSON object a line. What a crash
// loses are the counts since the last save: a report is a statistic.
type kept struct {
	Domain   smtp.Domain  `json:"domain"`
	Day      time.Time    `json:"day"`
	Wanted   bool         `json:"wanted,omitempty"`
	Due      time.Time    `json:"due,omitzero"`
	Since    time.Time    `json:"since,omitzero"`
	Tries    int          `json:"tries,omitempty"`
	Done     []string     `json:"done,omitempty"`
	Sent     bool         `json:"sent,omitempty"`
	Policies []keptPolicy `json:"policies"`
}

type keptPolicy struct {
	Type     tlsrpt.Policy `json:"type"`
	Text     string        `json:"text,omitempty"`
	Host     string        `json:"host,omitempty"`
	Good     uint64        `json:"good,omitempty"`
	Bad      uint64        `json:"bad,omitempty"`
	Failures []keptFailure `json:"failures,omitempty"`
}

type keptFailure struct {
	Result string     `json:"result"`
	From   netip.Addr `json:"from,omitzero"`
	Host   string     `json:"host,omitempty"`
	To     netip.Addr `json:"to,omitzero"`
	Reason string     `json:"reason,omitempty"`
	Count  uint64     `json:"count"`
}

// load takes back what was kept. Damage costs counts; it is no reason not to
// start.
func (s *Stage) load() {
	if s.deps.Keeper == nil {
		return
	}
	text, err := s.deps.Keeper.Load()
	if err != nil {
		s.deps.Log.Warn("the TLS results of earlier cannot be read; reports will lack them", "error", err)
		return
	}
	if bad := s.book.take(text, time.Now()); bad > 0 {
		s.deps.Log.Warn("some TLS results of earlier are damaged; reports will lack them", "domains", bad)
	}
}

// take fills an empty book, and gives the number of lines that are damaged.
func (b *book) take(text []byte, now time.Time) (bad int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.today = now.UTC().Truncate(day)
	for line := range bytes.Lines(text) {
		a, err := takeBack(line)
		switch {
		case err != nil:
			bad++
		case a.day.After(b.today), now.Sub(a.day) > keptFor, b.octets+a.octets > maxOctets:
		case a.day.Equal(b.today) && b.open[a.domain] == nil && len(b.open) < maxDomains:
			b.open[a.domain] = a
			b.octets += a.octets
		case a.day.Before(b.today):
			if due := a.due; due.IsZero() {
				b.close(a)
			} else {
				b.closed = append(b.closed, a)
			}
			b.octets += a.octets
		}
	}
	return bad
}

func takeBack(line []byte) (*account, error) {
	var k kept
	if err := json.Unmarshal(line, &k); err != nil {
		return nil, err
	}
	d, err := smtp.ParseDomain(string(k.Domain))
	if err != nil || d != k.Domain || d.IsLiteral() {
		return nil, errors.New("not a domain")
	}
	k.Day = k.Day.UTC()
	if !k.Day.Equal(k.Day.Truncate(day)) || len(k.Policies) == 0 {
		return nil, errors.New("not a day's account")
	}
	a := &account{domain: d, day: k.Day, due: k.Due, since: k.Since, tries: max(k.Tries, 0), done: k.Done, sent: k.Sent, policies: map[policyKey]*policyCount{}}
	if k.Wanted {
		a.wish = wanted
	}
	for _, p := range k.Policies {
		if p.Type > tlsrpt.PolicyDANE {
			return nil, errors.New("not a policy")
		}
		c := &policyCount{good: p.Good, bad: p.Bad}
		for _, f := range p.Failures {
			if c.failures == nil {
				c.failures = map[failureKey]uint64{}
			}
			c.failures[failureKey{Result: f.Result, From: f.From, Host: f.Host, To: f.To, Reason: f.Reason}] = f.Count
			a.octets += entryCost + len(f.Host) + len(f.Reason)
		}
		a.policies[policyKey{Type: p.Type, Text: p.Text, Host: p.Host}] = c
		a.octets += entryCost + len(p.Text) + len(p.Host)
	}
	return a, nil
}

// save keeps what is new.
func (s *Stage) save() {
	s.saved = time.Now()
	if s.deps.Keeper == nil {
		return
	}
	text, fresh := s.book.write()
	if !fresh {
		return
	}
	if err := s.deps.Keeper.Save(text); err != nil {
		s.book.stale()
		s.deps.Log.Warn("TLS results cannot be kept; a restart would lose them", "error", err)
	}
}

// write gives the book as a text, if there is something new.
func (b *book) write() (text []byte, fresh bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.fresh {
		return nil, false
	}
	b.fresh = false
	var out bytes.Buffer
	lines := json.NewEncoder(&out)
	for _, a := range b.closed {
		_ = lines.Encode(a.kept()) // it has nothing that JSON has not
	}
	for _, a := range b.open {
		if len(a.policies) > 0 {
			_ = lines.Encode(a.kept())
		}
	}
	return out.Bytes(), true
}

// stale notes that the last text was not saved.
func (b *book) stale() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fresh = true
}

func (a *account) kept() *kept {
	k := &kept{Domain: a.domain, Day: a.day, Wanted: a.wish == wanted, Due: a.due, Since: a.since, Tries: a.tries, Done: slices.Clone(a.done), Sent: a.sent}
	for key, c := range a.policies {
		p := keptPolicy{Type: key.Type, Text: key.Text, Host: key.Host, Good: c.good, Bad: c.bad}
		for f, n := range c.failures {
			p.Failures = append(p.Failures, keptFailure{Result: f.Result, From: f.From, Host: f.Host, To: f.To, Reason: f.Reason, Count: n})
		}
		k.Policies = append(k.Policies, p)
	}
	return k
}
