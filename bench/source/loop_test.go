package source

import (
	"context"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tenma/bench/load"
)

func near(got, want, part float64) bool { return math.Abs(got-want) <= part*want }

// In an open loop a message's latency counts from when it was due. Ten
// messages are due within 0.9 s, and the server takes a second for each: the
// last waits 8.1 s for the only session and 1 s for its reply. Measured from
// when it was sent, every latency would be 1 s.
func TestNoCoordinatedOmission(t *testing.T) {
	run(t, "wait:dot=1s", "sessions=1 per-session=0 rate=10 spacing=constant count=10", func(_ *server, s *Source, r load.Result, err error) {
		if err != nil || r.Accepted != 10 {
			t.Fatalf("%d accepted: %v", r.Accepted, err)
		}
		if !near(r.Ack.Max, 9100, 0.01) || !near(r.Ack.P50, 4600, 0.01) {
			t.Errorf("ack max %v ms, p50 %v ms; want 9100 and 4600", r.Ack.Max, r.Ack.P50)
		}
		if late := r.Extra["late_max"]; late < 7 || late > 9 { // seen once a second
			t.Errorf("at most %v messages behind", late)
		}
	})
}

// The same in a closed loop: what the server does to it is all it sees.
func TestClosedLoop(t *testing.T) {
	run(t, "wait:dot=900ms", "sessions=2 per-session=3 count=10", func(sv *server, s *Source, r load.Result, err error) {
		if err != nil || r.Accepted != 10 || !near(r.Ack.Max, 900, 0.01) || !near(r.AcceptSeconds, 4.5, 0.01) || !near(r.AcceptRate, 2.22, 0.01) {
			t.Errorf("%+v; %v", r, err)
		}
		if c := sv.rcv.Counts().Connections; c != 4 {
			t.Errorf("%d connections, want 4 of at most 3 messages", c)
		}
		sent, accepted := int64(0), int64(0)
		for _, p := range r.Series {
			sent, accepted = sent+p.Sent, accepted+p.Accepted
		}
		if sent != 10 || accepted != 10 || len(r.Series) < 5 || !near(r.Series[2].AckP99, 900, 0.01) {
			t.Errorf("series %+v", r.Series)
		}
	})
}

// A rate is kept, and a ramp: half of its messages are due after 0.71 of it.
func TestRates(t *testing.T) {
	run(t, "", "sessions=20 rate=100 spacing=constant duration=10s", func(sv *server, _ *Source, r load.Result, err error) {
		if err != nil || r.Accepted < 1000 || r.Accepted > 1001 || r.Ack.Max > 1 {
			t.Errorf("%d accepted, ack %+v: %v", r.Accepted, r.Ack, err)
		}
	})
	run(t, "", "sessions=20 rate=100 duration=20s", func(sv *server, _ *Source, r load.Result, err error) {
		if err != nil || !near(float64(r.Accepted), 2000, 0.07) { // 3 standard deviations
			t.Errorf("%d accepted with Poisson's gaps: %v", r.Accepted, err)
		}
	})
	run(t, "", "sessions=20 rate=0..200/10s spacing=constant count=1000", func(sv *server, s *Source, r load.Result, err error) {
		start := s.start.UnixNano()
		half, end := time.Duration(s.acks.At(500)-start), time.Duration(s.acks.At(999)-start)
		if err != nil || !near(half.Seconds(), 7.07, 0.01) || !near(end.Seconds(), 10, 0.01) {
			t.Errorf("half after %v, all after %v: %v", half, end, err)
		}
	})
}

func TestRateAt(t *testing.T) {
	for text, want := range map[string][]float64{ // seconds at which 0, 50, 500, 5000 messages are due
		"50":            {0, 1, 10, 100},
		"50..50/10s":    {0, 1, 10, 100},
		"0..100/10s":    {0, math.Sqrt(10), 10, 55},
		"100..50/10s":   {0, 0.5064, 5.8579, 95},
		"100..5000/60s": {0, 0.4259, 2.4828, 9.9087},
	} {
		r, err := ParseRate(text)
		if err != nil {
			t.Fatal(err)
		}
		for i, x := range []float64{0, 50, 500, 5000} {
			if got := r.at(x).Seconds(); math.Abs(got-want[i]) > 0.001*want[i] {
				t.Errorf("%s: %v messages after %v s, want %v", text, x, got, want[i])
			}
		}
		// Against a sum in small steps.
		sum, rate := 0.0, r.From
		for sec := 0.0; sec < 5; sec += 0.001 {
			if r.Over > 0 && sec < r.Over.Seconds() {
				rate = r.From + (r.To-r.From)*sec/r.Over.Seconds()
			}
			sum += rate * 0.001
		}
		if got := r.at(sum).Seconds(); math.Abs(got-5) > 0.01 {
			t.Errorf("%s: %v messages after %v s, want 5", text, sum, got)
		}
	}
}

func TestDueBy(t *testing.T) {
	s := newSchedule(Rate{From: 10, To: 10}, SpacingConstant, 1)
	for range 5 {
		s.take(time.Hour)
	}
	for at, want := range map[time.Duration]int64{0: 0, 499 * time.Millisecond: 0, 501 * time.Millisecond: 1, 1501 * time.Millisecond: 11, 1000501 * time.Millisecond: 10001} {
		if due, taken := s.dueBy(at); due != want || taken != 5 {
			t.Errorf("by %v: %d due, %d taken, want %d and 5", at, due, taken, want)
		}
	}
}

// A load ends in time whatever it waits for, with what was done.
func TestEnds(t *testing.T) {
	for words, ways := range map[string]struct {
		manner   string
		within   time.Duration
		accepted int64
	}{
		"sessions=3 duration=10s":                         {"wait:dot=1s", 11 * time.Second, 30},
		"sessions=3 rate=1 spacing=constant duration=10s": {"", 10 * time.Second, 11},
		"sessions=3 per-session=0 grace=2s":               {"wait:dot=1s", 61 * time.Second, 183}, // stopped after a minute and a half second
		"sessions=2 grace=2s":                             {"say:dot=stall", 63 * time.Second, 0},
		"sessions=2 grace=3s rate=1":                      {"say:connect=stall", 64 * time.Second, 0},
		"sessions=2 timeout=10s count=2":                  {"say:mail=stall", 21 * time.Second, 0},
	} {
		t.Run(words, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sv := serve(t, ways.manner)
				s := sv.source(t, words)
				ctx, cancel := context.WithTimeout(t.Context(), 60500*time.Millisecond)
				defer cancel()
				begin := time.Now()
				r, err := s.Run(ctx)
				if took := time.Since(begin); err != nil || took > ways.within || took < ways.within-2*time.Second || r.Accepted != ways.accepted {
					t.Errorf("took %v, accepted %d: %v", took, r.Accepted, err)
				}
				if _, err := s.Run(ctx); err == nil {
					t.Error("it runs twice")
				}
			})
		})
	}
}

// Live tells of the present.
func TestLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sv := serve(t, "wait:dot=900ms")
		s := sv.source(t, "sessions=1 rate=10 spacing=constant duration=10s per-session=0 pipeline=across")
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.Run(t.Context())
		}()
		time.Sleep(5500 * time.Millisecond)
		synctest.Wait()
		l := s.Live()
		if l.Accepted != 6 || l.Sent != 7 || l.Open != 1 || l.Rate != 1 || l.Elapsed != 5*time.Second || l.Backlog < 43 || l.Backlog > 46 {
			t.Errorf("%+v", l)
		}
		if !strings.HasPrefix(s.Name(), "r1") {
			t.Error(s.Name())
		}
		<-done
	})
}
