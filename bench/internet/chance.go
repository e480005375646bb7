package internet

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// points are where a Manner may act, in the order of a conversation.
func points() []string {
	return []string{AtConnect, AtEHLO, AtHELO, AtStartTLS, AtMail, AtRcpt, AtData, AtDot}
}

// Chance gives what the Parts at a point make of a reply: "" to leave it as it
// is, a reply, or Drop. random gives numbers in [0,1); it is called only where
// there are Parts.
func (m *Manner) Chance(at string, random func() float64) string {
	p, ok := m.Parts[at]
	if !ok {
		return ""
	}
	switch x := random(); {
	case x < p.Drop:
		return Drop
	case x < p.Drop+p.TempFail:
		if at == AtConnect {
			return "421 4.3.2 Too busy, please try again later"
		}
		return "451 4.3.0 Temporary trouble"
	case x < p.Drop+p.TempFail+p.Reject:
		return "554 5.7.1 Rejected"
	}
	return ""
}

// Pause is how long the reply at a point is held back, Jitter included.
// random is as in Chance.
func (m *Manner) Pause(at string, random func() float64) time.Duration {
	if len(m.Wait) == 0 {
		return 0
	}
	d, ok := m.Wait[at]
	if !ok {
		d = m.Wait[Everywhere]
	}
	if d > 0 && m.Jitter > 0 {
		d += time.Duration(random() * float64(m.Jitter))
	}
	return d
}

// part sets one of the Parts at a point.
func (m *Manner) part(kind, at, value string) error {
	if at == "" {
		at = AtDot
	}
	if !slices.Contains(points(), at) {
		return fmt.Errorf("no such point; there are %v", points())
	}
	x, err := share(value)
	if err != nil {
		return err
	}
	p := m.Parts[at]
	switch kind {
	case "tempfail":
		p.TempFail = x
	case "reject":
		p.Reject = x
	case "drop":
		p.Drop = x
	}
	if p.TempFail+p.Reject+p.Drop > 1 {
		return fmt.Errorf("the parts at %s are more than 1", at)
	}
	m.Parts[at] = p
	return nil
}

func share(s string) (float64, error) {
	x, err := strconv.ParseFloat(s, 64)
	if err == nil && !(x >= 0 && x <= 1) {
		err = fmt.Errorf("a part is a number from 0 to 1")
	}
	return x, err
}

func span(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err == nil && d < 0 {
		err = fmt.Errorf("a time below 0")
	}
	return d, err
}
