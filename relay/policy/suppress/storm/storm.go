package storm

import (
	"math"
	"time"
)

// Config says when failures are a storm. Zero fields take the defaults named.
type Config struct {
	Failures int           // that jumped, within the window; 0: 50
	Window   time.Duration // 0: 10 minutes
	Factor   float64       // times the normal share; 0: 5
}

const (
	slots = 10 // of a window
	// known is how many outcomes make a normal share; below it the share of a few
	// failures among few says nothing.
	known = 200
	// halfLife is how long it takes until what was normal counts half.
	halfLife = 24 * time.Hour
	// leastShare is the least share of failures that is a jump; mostShare the most
	// that is asked for, so that a stream with many failures can still have one.
	// freshShare is for streams of which nothing is known.
	leastShare, mostShare, freshShare = .2, .9, .8
	// maxStreams bounds the memory, some 200 octets each. Streams beyond it are
	// counted together, for each provider.
	maxStreams = 1 << 15
	// forgotten is how little of what was normal is worth its memory.
	forgotten = .5
)

// Guard knows the streams. The zero value is not ready; see New.
type Guard struct {
	config    Config
	streams   map[name]*stream
	providers map[string]*provider
}

type name struct{ provider, sender string }

// provider is what is known of one.
type provider struct {
	whole  stream    // of all senders
	jumped int       // failures, of the streams that have jumped
	until  time.Time // the storm lasts at least so long; zero: there is none
	began  time.Time
	held   int
}

func (p *provider) storm() bool { return !p.until.IsZero() }

// stream is the mail of one sender to one provider.
type stream struct {
	at           int64 // number of the newest slot
	recent       [slots]outcomes
	normal, hard float64 // outcomes and failures before the window, fading
	counts       int     // what it adds to provider.jumped
}

type outcomes struct{ all, hard int32 }

// New makes a Guard that has seen nothing.
func New(c Config) *Guard {
	g := &Guard{streams: map[name]*stream{}, providers: map[string]*provider{}}
	g.Apply(c)
	return g
}

// Apply changes the configuration. What was seen stays, unless the window is
// another.
func (g *Guard) Apply(c Config) {
	if c.Failures == 0 {
		c.Failures = 50
	}
	if c.Window == 0 {
		c.Window = 10 * time.Minute
	}
	if c.Factor == 0 {
		c.Factor = 5
	}
	if c.Window != g.config.Window { // the slots are others
		clear(g.streams)
		clear(g.providers)
	}
	g.config = c
}

// Window is how far back a storm reaches when it is noticed.
func (g *Guard) Window() time.Duration { return g.config.Window }

// Verdict is what a failure means.
type Verdict uint8

// The verdicts.
const (
	Calm   Verdict = iota // the failure is to be believed
	Begins                // it is not, and neither are those of the last window
	Storm                 // it is not
)

// Sent notes that a provider took mail of a sender.
func (g *Guard) Sent(at, sender string, now time.Time) {
	p, s := g.find(at, sender, now)
	p.whole.count(0)
	s.count(0)
}

// Failed notes that a provider refused a recipient of a sender for good, and says
// what that means.
func (g *Guard) Failed(at, sender string, now time.Time) Verdict {
	p, s := g.find(at, sender, now)
	p.whole.count(1)
	s.count(1)
	g.weigh(p, s)
	verdict := Calm
	if p.storm() {
		verdict = Storm
	}
	if g.raging(p) {
		p.until = now.Add(g.config.Window)
		if verdict == Calm {
			verdict, p.began = Begins, now
		}
	}
	if verdict != Calm {
		p.held++
	}
	return verdict
}

// raging reports that the streams which jumped have enough failures, and that
// they are more than some of many small ones: a sender with a single message is
// soon at four fifths.
func (g *Guard) raging(p *provider) bool {
	if p.jumped < g.config.Failures {
		return false
	}
	all, hard := p.whole.window()
	return float64(hard) >= leastShare*float64(all)
}

// Over is a storm that has ended.
type Over struct {
	Provider string
	Began    time.Time
	Failures int // held back since it was noticed
}

// Tick is to be called about once a minute. It gives the storms that are over,
// and forgets what is no longer worth its memory.
func (g *Guard) Tick(now time.Time) (over []Over) {
	slot := g.slot(now)
	for at, p := range g.providers {
		if p.storm() && !now.Before(p.until) {
			over = append(over, Over{at, p.began, p.held})
			p.until, p.held = time.Time{}, 0
		}
		p.whole.advance(slot, g.perDay(), p.storm())
		p.jumped = 0
	}
	for n, s := range g.streams {
		p := g.providers[n.provider]
		s.advance(slot, g.perDay(), p.storm())
		s.counts = 0
		g.weigh(p, s)
		if s.idle() {
			delete(g.streams, n)
		}
	}
	for at, p := range g.providers { // has faded no sooner than its streams
		if p.whole.idle() && !p.storm() {
			delete(g.providers, at)
		}
	}
	return over
}

// Storms are the providers where there is a storm.
func (g *Guard) Storms() (at []string) {
	for name, p := range g.providers {
		if p.storm() {
			at = append(at, name)
		}
	}
	return at
}

// slot numbers the parts of the window through all time.
func (g *Guard) slot(now time.Time) int64 {
	return now.UnixNano() / int64(g.config.Window/slots)
}

// perDay is how many slots fade what is normal by half.
func (g *Guard) perDay() float64 { return float64(halfLife) / float64(g.config.Window/slots) }

// find gives a provider and a stream whose newest slots are now's.
func (g *Guard) find(at, sender string, now time.Time) (*provider, *stream) {
	slot := g.slot(now)
	p := g.providers[at]
	if p == nil && len(g.providers) >= maxStreams {
		at = ""
		p = g.providers[at]
	}
	if p == nil {
		p = &provider{whole: stream{at: slot}}
		g.providers[at] = p
	}
	n := name{at, sender}
	s := g.streams[n]
	if s == nil && len(g.streams) >= maxStreams {
		n.sender = ""
		s = g.streams[n]
	}
	if s == nil {
		s = &stream{at: slot}
		g.streams[n] = s
	}
	p.whole.advance(slot, g.perDay(), p.storm())
	s.advance(slot, g.perDay(), p.storm())
	return p, s
}

// count notes an outcome in the newest slot.
func (s *stream) count(hard int32) {
	o := &s.recent[s.at%slots]
	o.all++
	o.hard += hard
}

// idle reports that nothing of it is worth its memory.
func (s *stream) idle() bool {
	all, _ := s.window()
	return all == 0 && s.normal < forgotten
}

// advance moves the window on; what leaves it becomes what is normal, but not
// in a storm. A clock that was set back moves nothing.
func (s *stream) advance(slot int64, perDay float64, storm bool) {
	if slot <= s.at {
		return
	}
	for i := range min(slot-s.at, slots) {
		o := &s.recent[(s.at+1+i)%slots]
		if !storm {
			s.normal += float64(o.all)
			s.hard += float64(o.hard)
		}
		*o = outcomes{}
	}
	fade := math.Exp2(-float64(slot-s.at) / perDay)
	s.normal *= fade
	s.hard *= fade
	s.at = slot
}

// window sums what happened within it.
func (s *stream) window() (all, hard int) {
	for _, o := range s.recent {
		all += int(o.all)
		hard += int(o.hard)
	}
	return all, hard
}

// weigh brings up to date what a stream adds to the failures of its provider.
func (g *Guard) weigh(p *provider, s *stream) {
	all, hard := s.window()
	jumped := 0
	if hard > 0 && float64(hard) >= g.limit(s)*float64(all) {
		jumped = hard
	}
	p.jumped += jumped - s.counts
	s.counts = jumped
}

// limit is the share of failures from which on a stream has jumped.
func (g *Guard) limit(s *stream) float64 {
	if s.normal < known {
		return freshShare
	}
	return min(max(g.config.Factor*s.hard/s.normal, leastShare), mostShare)
}
