package source

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"tenma/bench/load"
)

// pollEvery is how often the sink is asked for its counts.
const pollEvery = time.Second

// Live is how a load goes. Counts are totals since its start.
type Live struct {
	Elapsed    time.Duration
	Count      int64 // messages that there will be, 0: not known
	Sent       int64
	Accepted   int64
	Soft, Hard int64 // refused with 4yz, 5yz
	ConnErrors int64
	Broken     int64 // messages whose connection broke before their reply
	Open       int64 // connections
	Backlog    int64 // of an open loop: messages that are due and that no session had time for
	Delivered  int64 // arrived at the sink
	Rate       float64
	Second     load.Quantiles // acknowledgement, of the last second
	All        load.Quantiles // of all seconds
	FirstError string
}

// Live tells how the load goes.
func (s *Source) Live() Live {
	l := Live{
		Sent: s.count.sent.Load(), Accepted: s.count.accepted.Load(), Soft: s.count.soft.Load(), Hard: s.count.hard.Load(),
		ConnErrors: s.count.connErrors.Load(), Broken: s.count.broken.Load(), Open: s.count.open.Load(),
		Delivered: s.arrived.Load(), Count: s.cfg.Count,
	}
	if p := s.count.firstError.Load(); p != nil {
		l.FirstError = *p
	}
	l.Second, l.All = s.meter.quantiles()
	s.mu.Lock()
	if n := len(s.points); n > 0 {
		p := s.points[n-1]
		l.Elapsed = time.Duration(p.Second * float64(time.Second))
		l.Rate = float64(p.Accepted)
		l.Backlog = s.backlog
	}
	s.mu.Unlock()
	return l
}

// watch makes a Point of each second.
func (s *Source) watch(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var last load.Point // totals
	for {
		select {
		case <-tick.C:
			s.point(&last)
		case <-ctx.Done():
			s.point(&last) // what is left of the last second
			return
		}
	}
}

// point ends a second. last are the totals at the end of the one before.
func (s *Source) point(last *load.Point) {
	s.meter.turn()
	second, _ := s.meter.quantiles()
	at := time.Since(s.start)
	now := load.Point{Second: at.Seconds(), Sent: s.count.sent.Load(), Accepted: s.count.accepted.Load(), Delivered: s.arrived.Load()}
	p := load.Point{
		Second: now.Second, Sent: now.Sent - last.Sent, Accepted: now.Accepted - last.Accepted, Delivered: now.Delivered - last.Delivered,
		AckP99: second.P99,
	}
	if s.cfg.Sink != nil {
		p.Backlog = max(0, now.Accepted-now.Delivered)
	}
	*last = now
	s.mu.Lock()
	defer s.mu.Unlock()
	s.backlog = s.overdue(at)
	s.late = max(s.late, s.backlog)
	if len(s.points) < maxPoints {
		s.points = append(s.points, p)
	}
}

// overdue is how many messages are due and not taken.
func (s *Source) overdue(at time.Duration) int64 {
	if s.sched == nil {
		return 0
	}
	if s.cfg.Duration > 0 {
		at = min(at, s.cfg.Duration)
	}
	n, taken := s.sched.dueBy(at)
	return max(0, min(n, s.last()-taken))
}

// poll asks the sink how much arrived.
func (s *Source) poll(ctx context.Context) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if st, err := s.cfg.Sink.Stats(ctx); err == nil {
			s.arrived.Store(st.Unique)
		}
	}
}

// result is of what was sent.
func (s *Source) result() load.Result {
	c := &s.count
	r := load.Result{
		Run: s.cfg.Run, Round: 1, Started: s.start, Sessions: s.cfg.Sessions, PerSession: s.cfg.PerSession,
		Size: s.cfg.Size.String(), Domains: s.cfg.Domains.Total(),
		Accepted: c.accepted.Load(), SoftErrors: c.soft.Load(), HardErrors: c.hard.Load(), ConnErrors: c.connErrors.Load(),
		Extra: map[string]float64{},
	}
	if s.cfg.Corpus != "" {
		r.Size = "corpus"
	}
	if p := c.firstError.Load(); p != nil {
		r.FirstError = *p
	}
	r.Ack = s.meter.whole()
	last := int64(0)
	s.acks.Each(func(_ uint32, at int64) { last = max(last, at) })
	if last > 0 {
		r.AcceptSeconds = seconds(last, s.start)
		r.AcceptRate = float64(r.Accepted) / r.AcceptSeconds
	}
	s.mu.Lock()
	late := s.late
	s.mu.Unlock()
	for name, v := range map[string]float64{
		"sent": float64(c.sent.Load()), "broken": float64(c.broken.Load()), "refused_recipients": float64(c.refused.Load()),
		"connections": float64(c.conns.Load()), "tls_resumed": float64(c.resumed.Load()), "late_max": float64(late),
	} {
		if v != 0 {
			r.Extra[name] = v
		}
	}
	return r
}

// seconds from start to a Unix time in nanoseconds, and never 0.
func seconds(at int64, start time.Time) float64 {
	return max(1e-6, time.Duration(at-start.UnixNano()).Seconds())
}

// Await waits until the sink has every accepted message, or nothing new for
// the Config's Wait, or ctx ends, and adds what arrived to r. That as many
// arrived as were accepted is not enough: one whose 250 was lost with its
// connection would stand for one that is missing.
func (s *Source) Await(ctx context.Context, r *load.Result) error {
	tick := time.NewTicker(pollEvery / 5)
	defer tick.Stop()
	best, since, joined := int64(-1), time.Now(), int64(-1)
	for {
		st, err := s.cfg.Sink.Stats(ctx)
		if err == nil {
			s.arrived.Store(st.Unique)
			r.SinkConns, r.SinkPeak, r.SinkRefused, r.Signatures = st.Conns, st.PeakConns, st.Refused, st.Signatures
			if st.Unique > best {
				best, since = st.Unique, time.Now()
			}
			if st.Unique >= r.Accepted && st.Unique != joined {
				if err := s.joinArrivals(ctx, r); err != nil || r.Lost == 0 {
					return err
				}
				joined = st.Unique // some are missing: asking again is for when more came
			}
		}
		if time.Since(since) < s.cfg.Wait {
			select {
			case <-tick.C:
				continue
			case <-ctx.Done():
			}
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
		return s.joinArrivals(ctx, r)
	}
}

// joinTime bounds how long the sink's list of arrivals may take.
const joinTime = time.Minute

// joinArrivals compares what was accepted with what the sink has, also when ctx
// has ended.
func (s *Source) joinArrivals(ctx context.Context, r *load.Result) error {
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), joinTime)
	defer cancel()
	arrivals, err := s.cfg.Sink.Arrivals(asking, s.cfg.Run)
	if err != nil {
		return fmt.Errorf("asking for what arrived: %w", err)
	}
	s.Join(r, arrivals)
	return nil
}

// Join compares what was accepted with what arrived and fills in the result's
// Delivered, Lost, Duplicates, Unanswered, rates of delivery and Transit.
func (s *Source) Join(r *load.Result, arrivals []load.Arrival) {
	transit := newHistogram()
	r.Delivered, r.Duplicates, r.Unanswered = 0, 0, 0
	found := int64(0) // accepted and arrived
	slices.SortFunc(arrivals, func(a, b load.Arrival) int { return cmp.Compare(a.First, b.First) })
	for _, a := range arrivals {
		if a.Count == 0 {
			continue
		}
		r.Delivered++
		r.Duplicates += int64(a.Count) - 1
		acked := s.acks.At(a.N)
		if acked == 0 {
			r.Unanswered++
			continue
		}
		found++
		transit.RecordValue(micros(time.Duration(a.First - acked)))
	}
	r.Lost = r.Accepted - found
	r.Transit = quantiles(transit)
	if n := len(arrivals); n > 0 {
		r.DeliverSeconds = seconds(arrivals[n-1].First, s.start)
		r.DeliverRate = float64(r.Delivered) / r.DeliverSeconds
		if k := n * 95 / 100; k > 0 {
			r.Deliver95Rate = float64(k) / seconds(arrivals[k-1].First, s.start)
		}
	}
}
