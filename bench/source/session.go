package source

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"tenma/bench/source/letter"
)

// Pauses after connections that brought no message through: at first, and at
// most.
const (
	firstPause = 50 * time.Millisecond
	mostPause  = time.Second
)

// errBye is a 421: the server closes the connection (RFC 5321 section 3.8).
var errBye = errors.New("the server says goodbye")

// message is one message of the load.
type message struct {
	n       uint32
	due     time.Time // of an open loop
	retried bool
}

// session is one of the connections that are open at a time, and what follows
// it when it ends. It belongs to its goroutine.
type session struct {
	s     *Source
	ctx   context.Context // of Run: no message starts after it
	shard *shard
	w     *letter.Writer
	timer *time.Timer

	held    message // was taken and is to be sent on the next connection
	holds   bool
	pending []flight // messages that await their replies, by talkAhead

	// Of the connection:
	c      *conn
	offer  offer
	used   int  // messages that it carried
	dirty  bool // a transaction was left open: RSET comes before the next
	resets int  // replies to RSET that are due
	passed bool // it brought a message through
}

// flight is a message that was written and not answered.
type flight struct {
	message
	written time.Time
	resets  int
}

func newSession(s *Source, i int) *session {
	return &session{s: s, shard: &s.meter.shards[i%len(s.meter.shards)], w: s.mail.Writer()}
}

// run sends messages until there are no more.
func (x *session) run(ctx context.Context) {
	x.ctx = ctx
	pause := firstPause
	for {
		m, ok := x.next(true)
		if !ok {
			return
		}
		if err := x.open(); err != nil {
			x.hold(m)
			if !x.unreachable(err) || !x.sleep(pause) {
				return
			}
			pause = min(2*pause, mostPause)
			continue
		}
		if x.converse(m); x.passed {
			pause = firstPause
			continue
		}
		// A server that refuses all is not to be run against.
		if !x.sleep(pause) {
			return
		}
		pause = min(2*pause, mostPause)
	}
}

// next gives the message to send next. In an open loop with wait it sleeps
// until the message is due, and without it takes only one that is.
func (x *session) next(wait bool) (m message, ok bool) {
	if x.ctx.Err() != nil {
		return m, false
	}
	if x.holds {
		x.holds = false
		return x.held, true
	}
	elapsed := time.Since(x.s.start)
	by := elapsed
	if wait {
		by = math.MaxInt64
	}
	if m, ok = x.s.take(elapsed, by); !ok || m.due.IsZero() {
		return m, ok
	}
	return m, x.sleep(time.Until(m.due))
}

// hold keeps a message for the next connection.
func (x *session) hold(m message) { x.held, x.holds = m, true }

// sleep reports whether the load goes on after d.
func (x *session) sleep(d time.Duration) bool {
	if d <= 0 {
		return x.ctx.Err() == nil
	}
	if x.timer == nil {
		x.timer = time.NewTimer(d)
	} else {
		x.timer.Reset(d)
	}
	select {
	case <-x.timer.C:
		return true
	case <-x.ctx.Done():
		x.timer.Stop()
		return false
	}
}

// unreachable notes a connection that could not be made, and reports whether
// to try again.
func (x *session) unreachable(err error) bool {
	s := x.s
	if x.ctx.Err() != nil {
		return false
	}
	s.count.connErrors.Add(1)
	s.count.fail(err.Error())
	var f fatalError
	if errors.As(err, &f) {
		s.giveUp(fmt.Errorf("%s: %w", s.cfg.Address, err))
		return false
	}
	if s.count.open.Load() == 0 && time.Since(s.start)-time.Duration(s.up.Load()) >= s.cfg.Patience {
		s.giveUp(fmt.Errorf("no connection to %s for %s: %w", s.cfg.Address, s.cfg.Patience, err))
		return false
	}
	return s.cfg.Duration == 0 || time.Since(s.start) < s.cfg.Duration
}

// open makes a connection.
func (x *session) open() (err error) {
	x.c, x.offer, err = x.s.connect(x.ctx)
	if err != nil {
		return err
	}
	x.used, x.dirty, x.resets, x.passed, x.pending = 0, false, 0, false, x.pending[:0]
	x.s.count.conns.Add(1)
	x.s.count.open.Add(1)
	return nil
}

// converse carries messages on a new connection, m first, until it ends.
func (x *session) converse(m message) {
	s, c := x.s, x.c
	end := context.AfterFunc(x.ctx, func() { c.expire(s.cfg.Grace) })
	var err error
	if s.cfg.BDAT && s.cfg.Pipelining != PipelineOff {
		err = x.talkAhead(m)
	} else {
		err = x.talk(m)
	}
	if err != nil && !errors.Is(err, errBye) {
		s.count.connErrors.Add(1)
		s.count.fail(err.Error())
	}
	if err == nil {
		x.c.small("QUIT\r\n")
		if x.c.flush(time.Now()) == nil {
			x.c.reply(nil) // whatever it is: every message is settled
		}
	}
	end()
	x.c.Close()
	s.count.open.Add(-1)
	s.up.Store(int64(time.Since(s.start)))
}

// full reports whether the connection has carried what it may.
func (x *session) full() bool { return x.s.cfg.PerSession > 0 && x.used >= x.s.cfg.PerSession }

// broke settles a message whose connection broke. One that a connection broke
// under before it was written, on a connection that had served others, is
// tried once more: the server may have closed it for having been idle.
func (x *session) broke(m message, written bool, heard int64) {
	if !written && !m.retried && x.used > 1 && x.c.got == heard {
		m.retried = true
		x.hold(m)
		return
	}
	x.s.count.broken.Add(1)
}

// settle counts a message by the code that decided it.
func (x *session) settle(m message, code int, reply []byte, written time.Time) {
	s := x.s
	switch code / 100 {
	case 2:
		now := time.Now()
		if m.due.IsZero() {
			x.shard.record(now.Sub(written))
		} else {
			x.shard.record(now.Sub(m.due))
		}
		s.acks.set(m.n, now.UnixNano())
		s.count.accepted.Add(1)
		x.passed = true
		return
	case 5:
		s.count.hard.Add(1)
	default:
		s.count.soft.Add(1)
	}
	if s.count.firstError.Load() == nil {
		s.count.fail(cutText(reply))
	}
}
