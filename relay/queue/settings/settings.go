// Package settings is the configuration of a queue and its defaults.
//
// A Config is what an operator wrote, where zero means "as you think best"; the
// queue works with what Complete makes of it, where every field has a value
// within its bounds. The defaults are those of bulk mail: RFC 5321 section
// 4.5.4.1 for the schedule, and what large receivers bear for a lane.
package settings

import "time"

// Config is what a Queue is told.
type Config struct {
	Shards          int             // 0: one per processor; a change needs a restart
	Retry           []time.Duration // waits after the 1st, 2nd ... failed attempt; the last repeats; none: DefaultRetry
	Jitter          float64         // each wait is spread by this part both ways, at most 0.5; 0: 0.1; negative: none
	Expire          time.Duration   // of a message, since it was received; 0: 5 days
	DelayNotice     time.Duration   // a delay DSN after this; 0: none
	Horizon         time.Duration   // items due later leave memory; 0: 15 min
	LaneConnections int             // attempts that run at a time in a lane; 0: 10
	LaneReady       int             // messages of a lane, in each priority class, held ready for an attempt; 0: 1024
	RestAfter       int             // attempts in a row that open no session put their lane to rest; 0: 100
	MaxRunning      int             // deliveries that run at a time in all lanes; 0: 20,000; a change needs a restart
}

// DefaultRetry is the schedule of mail without one: two tries in the first
// hour and then at least every two hours, inside RFC 5321 section 4.5.4.1.
func DefaultRetry() []time.Duration {
	return []time.Duration{
		5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 40 * time.Minute, 80 * time.Minute, 2 * time.Hour,
	}
}

// RestAfter is the default of Config.RestAfter: what operators of such relays
// are used to, and more than a lane's connections can fail with at a time when
// a host restarts.
const RestAfter = 100

// SignersPerProc is how many goroutines make DKIM signatures for each processor
// that Go may use. Beside the sessions of 50 clients one for each got too small a
// part of the processors: mail came in faster than it was signed, and waited 400 ms
// for a signature instead of 10. Four delivered 9 % more in a second than one; two, 7 %.
const SignersPerProc = 4

// Settings are a Config without zero fields, and the part of it that decides
// the fates of recipients, in the form that package fate wants it.
type Settings struct {
	Config
	Rules struct {
		Retry       []time.Duration
		Jitter      float64
		Expire      time.Duration
		DelayNotice time.Duration
	}
}

// Complete fills in what is zero and bounds the rest.
func (c Config) Complete() *Settings {
	if len(c.Retry) == 0 {
		c.Retry = DefaultRetry()
	}
	switch {
	case c.Jitter == 0:
		c.Jitter = 0.1
	case c.Jitter < 0:
		c.Jitter = 0
	}
	c.Jitter = min(c.Jitter, 0.5)
	// RFC 5321 section 4.5.4.1: the give-up time is at least 4 to 5 days.
	setDefault(&c.Expire, 5*24*time.Hour)
	setDefault(&c.Horizon, 15*time.Minute)
	setDefault(&c.LaneConnections, 10)
	setDefault(&c.LaneReady, 1024)
	setDefault(&c.RestAfter, RestAfter)
	setDefault(&c.MaxRunning, 20_000)
	s := &Settings{Config: c}
	s.Rules.Retry, s.Rules.Jitter, s.Rules.Expire, s.Rules.DelayNotice = c.Retry, c.Jitter, c.Expire, c.DelayNotice
	return s
}

func setDefault[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}
