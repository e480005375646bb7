package source

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Rate is how many messages a second are due: From at first, changing evenly
// to To within Over, To from then on. The zero value is no rate.
type Rate struct {
	From, To float64
	Over     time.Duration
}

// ParseRate reads "500", or a ramp "100..5000/60s".
func ParseRate(text string) (Rate, error) {
	bad := fmt.Errorf("rate %q is neither a number nor a ramp such as 100..5000/60s", text)
	low, rest, ramp := strings.Cut(text, "..")
	var r Rate
	var err error
	if r.From, err = strconv.ParseFloat(low, 64); err != nil {
		return r, bad
	}
	r.To = r.From
	if ramp {
		high, over, ok := strings.Cut(rest, "/")
		r.To, err = strconv.ParseFloat(high, 64)
		if err != nil || !ok {
			return r, bad
		}
		if r.Over, err = time.ParseDuration(over); err != nil {
			return r, bad
		}
	}
	if !r.open() {
		return r, errRate
	}
	return r, r.check()
}

var errRate = errors.New("a rate must be above 0 and at most 10,000,000 a second; only a ramp may start at 0")

// String is what ParseRate reads.
func (r Rate) String() string {
	if r.Over == 0 {
		return strconv.FormatFloat(r.To, 'g', -1, 64)
	}
	return fmt.Sprintf("%g..%g/%s", r.From, r.To, r.Over)
}

func (r Rate) open() bool { return r != Rate{} }

func (r Rate) check() error {
	const most = 10e6
	switch {
	case !r.open():
		return nil
	case !(r.From >= 0 && r.From <= most && r.To > 0 && r.To <= most):
		return errRate
	case r.From != r.To && r.Over <= 0 || r.Over < 0:
		return errors.New("a ramp takes a time above 0")
	}
	return nil
}

// at is when the number of messages that are due reaches x: the inverse of the
// rate's integral.
func (r Rate) at(x float64) time.Duration {
	over := r.Over.Seconds()
	rampTotal := (r.From + r.To) / 2 * over
	var t float64
	switch {
	case x <= 0:
	case x >= rampTotal:
		t = over + (x-rampTotal)/r.To
	case r.From == r.To:
		t = x / r.From
	default: // From*t + (To-From)/(2*over)*t^2 = x, in the form that loses no digits
		a := (r.To - r.From) / (2 * over)
		t = 2 * x / (r.From + math.Sqrt(max(0, r.From*r.From+4*a*x)))
	}
	return time.Duration(min(t*1e9, math.MaxInt64/2))
}

// schedule gives the due times of an open loop one after the other. Its
// methods may be called at any time.
type schedule struct {
	rate    Rate
	poisson bool

	mu     sync.Mutex
	random *rand.Rand
	number uint32        // of the next message
	mass   float64       // the rate's integral at its due time
	due    time.Duration // since the start
}

func newSchedule(r Rate, s Spacing, seed uint64) *schedule {
	return &schedule{rate: r, poisson: s == SpacingPoisson, random: rand.New(rand.NewPCG(seed, 2)), due: r.at(0)}
}

// take gives the next message if it is due not later than by.
func (s *schedule) take(by time.Duration) (number uint32, due time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.due > by {
		return 0, s.due, false
	}
	number, due = s.number, s.due
	s.advance()
	return number, due, true
}

// advance goes on to the next message; mu is held. A Poisson process of a
// changing rate is one of rate 1 seen through the rate's integral.
func (s *schedule) advance() {
	s.number++
	step := 1.0
	if s.poisson {
		step = s.random.ExpFloat64()
	}
	s.mass += step
	s.due = s.rate.at(s.mass)
}

// dueBy is how many messages are due by t and not taken, and how many were
// taken. It is exact with constant spacing; with Poisson's it is what the rate
// lets expect.
func (s *schedule) dueBy(t time.Duration) (due, taken int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken = int64(s.number)
	if s.due > t {
		return 0, taken
	}
	// The integral at t, by halving: this is asked once a second.
	low, high := s.mass, s.mass+1
	for s.rate.at(high) <= t {
		low, high = high, high+2*(high-s.mass)
	}
	for high-low > 1e-3 {
		if mid := (low + high) / 2; s.rate.at(mid) <= t {
			low = mid
		} else {
			high = mid
		}
	}
	return int64(low-s.mass) + 1, taken
}
