package hosttls

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"time"

	"tenma/relay/wire/mtasts"
	"tenma/relay/wire/smtp"
)

// maxKept bounds the octets of policies, in memory and kept. Real ones have some
// two hundred each.
const maxKept = 32 << 20

// kept is one policy as a Keeper has it, one JSON object a line. Without it a
// restart would be an opening for whoever forges the DNS: only who knows the
// policy already cannot be told that there is none (RFC 8461 section 10.2).
type kept struct {
	Domain  smtp.Domain `json:"domain"`
	ID      string      `json:"id"`
	Fetched time.Time   `json:"fetched"`
	Policy  string      `json:"policy"` // as its host had it, but for what we do not know
}

// load takes back what was kept. Damage costs policies, which are fetched again;
// it is no reason not to start.
func (a *Adviser) load() {
	if a.deps.Keeper == nil {
		return
	}
	text, err := a.deps.Keeper.Load()
	if err != nil {
		a.deps.Log.Warn("the MTA-STS policies of earlier cannot be read; they are fetched again", "error", err)
		return
	}
	n, bad := 0, 0
	now := time.Now()
	for line := range bytes.Lines(text) {
		e, d, err := takeBack(line, now)
		switch {
		case err != nil:
			bad++
		case now.Before(e.ends()):
			n = a.policies.put(d, e)
		}
	}
	a.deps.Metrics.Policies.Set(float64(n))
	if bad > 0 {
		a.deps.Log.Warn("some MTA-STS policies of earlier are damaged; they are fetched again", "policies", bad)
	}
}

func takeBack(line []byte, now time.Time) (*entry, smtp.Domain, error) {
	var k kept
	if err := json.Unmarshal(line, &k); err != nil {
		return nil, "", err
	}
	d, err := smtp.ParseDomain(string(k.Domain))
	if err != nil || d != k.Domain || d.IsLiteral() {
		return nil, "", errors.New("not a domain")
	}
	p, err := mtasts.Parse([]byte(k.Policy))
	if err != nil {
		return nil, "", err
	}
	if k.Fetched.After(now) { // by a clock that was wrong
		k.Fetched = now
	}
	return &entry{policy: p, id: k.ID, fetched: k.Fetched}, d, nil
}

// save keeps what is new.
func (a *Adviser) save() {
	if a.deps.Keeper == nil || !a.policies.changed.Swap(false) {
		return
	}
	var text bytes.Buffer
	if err := a.policies.write(&text); err == nil {
		err = a.deps.Keeper.Save(text.Bytes())
		if err != nil {
			a.policies.changed.Store(true)
			a.deps.Log.Warn("MTA-STS policies cannot be kept; a restart would lose them", "error", err)
		}
	}
}

func (s *policies) write(w io.Writer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := json.NewEncoder(w)
	for d, e := range s.by {
		if err := out.Encode(kept{d, e.id, e.fetched, e.policy.String()}); err != nil {
			return err
		}
	}
	return nil
}
