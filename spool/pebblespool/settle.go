package pebblespool

import (
	"fmt"
	"time"

	"tenma/spool"
)

// settleLoop gathers settlements for SettleDelay and sends them on.
func (s *Spool) settleLoop(stop <-chan struct{}) {
	delay := time.NewTimer(0)
	defer delay.Stop()
	for stopping := false; ; {
		select {
		case <-s.settleWake:
		case <-stop:
			stopping = true
		case <-s.fence.Sick():
			return
		}
		if !stopping {
			delay.Reset(s.o.SettleDelay)
			select {
			case <-delay.C:
			case <-stop:
				stopping = true
			case <-s.fence.Sick():
				return
			}
		}
		s.mu.Lock()
		s.held, s.settling = s.settling, nil
		some := len(s.held) > 0
		s.mu.Unlock()
		if some && !s.beforeSettle(stop) {
			return // failAll finishes what is held
		}
		s.mu.Lock()
		for _, r := range s.held {
			s.queue = append(s.queue, r)
		}
		s.held = nil
		s.mu.Unlock()
		poke(s.wake)
		if stopping {
			return
		}
	}
}

// beforeSettle calls Options.BeforeSettle until it succeeds. It is false when
// the spool is sick, or was stopped meanwhile.
func (s *Spool) beforeSettle(stop <-chan struct{}) bool {
	if s.o.BeforeSettle == nil {
		return true
	}
	defer s.stalled.Store(nil)
	for {
		err := s.o.BeforeSettle()
		if err == nil {
			return true
		}
		if s.stalled.Load() == nil {
			s.o.Logger.Error("settlements wait", "error", err)
		}
		err = fmt.Errorf("%w: %w", spool.ErrStalled, err)
		s.stalled.Store(&err)
		again := time.NewTimer(time.Second)
		select {
		case <-again.C:
		case <-s.fence.Sick():
			again.Stop()
			return false
		case <-stop:
			again.Stop()
			s.fence.Fail("before settling", "", err)
			return false
		}
	}
}
