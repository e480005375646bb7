package source

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tenma/bench/load"
)

// fakeSink says what the test wants.
type fakeSink struct {
	reset    string
	stats    func() (load.SinkStats, error)
	arrivals func() []load.Arrival
}

func (f *fakeSink) Reset(_ context.Context, run string) error {
	f.reset = run
	return nil
}
func (f *fakeSink) Stats(context.Context) (load.SinkStats, error) { return f.stats() }
func (f *fakeSink) Arrivals(context.Context, string) ([]load.Arrival, error) {
	return f.arrivals(), nil
}

// Of ten messages, of which message 3 was refused, six arrive in time, one of
// them twice, and message 3 arrives too.
func TestJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sv := serve(t, "wait:dot=100ms user:u3=550_5.1.1_no")
		s := sv.source(t, "sessions=1 count=10 users=10 wait=30s")
		sink := &fakeSink{stats: func() (load.SinkStats, error) {
			n := min(7, int64(time.Since(s.start)/time.Second))
			return load.SinkStats{Unique: n, Conns: 3, PeakConns: 2, Signatures: 5, Refused: 4}, nil
		}}
		sink.arrivals = func() (all []load.Arrival) {
			for n := range uint32(6) {
				a := load.Arrival{N: n, Count: 1, First: s.acks.At(n) + int64(time.Second)}
				if n == 3 {
					a.First = s.start.Add(2 * time.Second).UnixNano()
				}
				if n == 5 {
					a.Count = 2
				}
				all = append(all, a)
			}
			return append(all, load.Arrival{N: 9, Count: 1, First: s.acks.At(9) + int64(9*time.Second)})
		}
		s.cfg.Sink = sink
		r, err := s.Run(t.Context())
		if err != nil || sink.reset != "r1" {
			t.Fatalf("reset %q: %v", sink.reset, err)
		}
		if r.Accepted != 9 || r.Delivered != 7 || r.Lost != 3 || r.Duplicates != 1 || r.Unanswered != 1 || r.HardErrors != 1 {
			t.Errorf("%+v", r)
		}
		if !near(r.Transit.P50, 1000, 0.01) || !near(r.Transit.Max, 9000, 0.01) || !near(r.DeliverSeconds, 9.9, 0.01) || !near(r.DeliverRate, 7/9.9, 0.01) || !near(r.Deliver95Rate, 6/2.0, 0.01) {
			t.Errorf("transit %+v, %v s, %v/s, %v/s", r.Transit, r.DeliverSeconds, r.DeliverRate, r.Deliver95Rate)
		}
		if r.SinkConns != 3 || r.SinkPeak != 2 || r.Signatures != 5 || r.SinkRefused != 4 {
			t.Errorf("%+v", r)
		}
		// The last arrival was seen after 7 s, and 30 s later no more is hoped for.
		if took := time.Since(s.start); took < 36*time.Second || took > 39*time.Second {
			t.Errorf("took %v", took)
		}
		delivered := int64(0)
		for _, p := range r.Series {
			delivered += p.Delivered
		}
		if delivered != 7 || r.Series[0].Backlog < 8 {
			t.Errorf("series %+v", r.Series)
		}
	})
}

// A message that arrives although its 250 was lost does not stand for one that
// has not arrived yet: that one is waited for.
func TestAwaitsEachMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sv := serve(t, "user:u3=550_5.1.1_no")
		s := sv.source(t, "sessions=1 count=10 users=10 wait=30s")
		late := func() bool { return time.Since(s.start) >= 20*time.Second } // message 9, after all others
		s.cfg.Sink = &fakeSink{
			stats: func() (load.SinkStats, error) {
				if late() {
					return load.SinkStats{Unique: 10}, nil
				}
				return load.SinkStats{Unique: 9}, nil
			},
			arrivals: func() (all []load.Arrival) {
				for n := range uint32(10) {
					if n < 9 || late() {
						all = append(all, load.Arrival{N: n, Count: 1, First: time.Now().UnixNano()})
					}
				}
				return all
			},
		}
		r, err := s.Run(t.Context())
		if err != nil || r.Accepted != 9 || r.Lost != 0 || r.Unanswered != 1 {
			t.Errorf("%+v, %v", r, err)
		}
		if took := time.Since(s.start); took < 20*time.Second || took > 22*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// A sink that breaks is told of beside the result of what was sent.
func TestSinkGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sv := serve(t, "")
		s := sv.source(t, "sessions=1 count=10 wait=3s")
		s.cfg.Sink = &fakeSink{stats: func() (load.SinkStats, error) { return load.SinkStats{}, errors.New("gone") }}
		r, err := s.Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), "gone") || r.Accepted != 10 {
			t.Errorf("accepted %d: %v", r.Accepted, err)
		}
	})
}

func TestAcks(t *testing.T) {
	var a Acks
	for i, n := range []uint32{0, 65535, 65536, load.MaxMessages - 1} {
		a.set(n, int64(i+1))
	}
	var all []uint32
	a.Each(func(n uint32, at int64) {
		all = append(all, n)
		if a.At(n) != at || at != int64(len(all)) {
			t.Errorf("message %d at %d", n, at)
		}
	})
	if len(all) != 4 || a.At(1) != 0 || a.At(1<<20) != 0 || a.At(load.MaxMessages) != 0 {
		t.Errorf("%v", all)
	}
}
