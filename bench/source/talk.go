package source

import (
	"strconv"
	"time"
)

// verdict is what the replies to a message's envelope leave of it.
type verdict struct {
	taken   int    // recipients
	code    int    // of the refusal that decides, 0 for none
	reply   string // with that
	proceed bool   // the server waits for the message's end
}

// steps is how many commands an envelope has: MAIL, RCPT..., and DATA.
func (x *session) steps() int {
	n := 1 + x.s.cfg.Recipients
	if !x.s.cfg.BDAT {
		n++
	}
	return n
}

// command gathers one command of a message's envelope.
func (x *session) command(m message, i int) {
	s, c := x.s, x.c
	switch {
	case i == 0:
		c.out = append(append(append(c.out, "MAIL FROM:<"...), s.cfg.From...), '>')
		if x.offer.eight && s.mail.Eight(m.n) {
			c.small(" BODY=8BITMIME") // RFC 6152
		}
		c.small("\r\n")
	case i <= s.cfg.Recipients:
		c.small("RCPT TO:<")
		c.out = s.mail.AppendRecipient(c.out, m.n, i-1)
		c.small(">\r\n")
	default:
		c.small("DATA\r\n")
	}
}

// envelope gathers a whole envelope, after RSET if a transaction is open.
func (x *session) envelope(m message) {
	x.used++
	x.reset()
	for i := range x.steps() {
		x.command(m, i)
	}
}

// reset gathers RSET where it is due.
func (x *session) reset() {
	if x.dirty {
		x.c.small("RSET\r\n")
		x.dirty = false
		x.resets++
	}
}

// resetReplies reads the replies to RSET that come before an envelope's.
func (x *session) resetReplies(n int) error {
	for range n {
		if _, err := x.c.expect("RSET", 250, nil); err != nil {
			return err
		}
	}
	return nil
}

// replies reads the replies to an envelope that was written, or, without
// pipelining, writes its commands between them.
func (x *session) replies(m message) (v verdict, err error) {
	stepwise := x.s.cfg.Pipelining == PipelineOff
	if stepwise {
		x.used++
		x.reset()
	}
	resets := x.resets
	x.resets = 0
	for i := range x.steps() {
		if stepwise {
			if i > x.s.cfg.Recipients && v.taken == 0 {
				break
			}
			x.command(m, i)
			if err := x.c.flush(time.Now()); err != nil {
				return v, err
			}
		}
		if i == 0 {
			if err := x.resetReplies(resets); err != nil {
				return v, err
			}
		}
		if err := x.judge(&v, i); err != nil {
			return v, err
		}
		if stepwise && v.code != 0 && i == 0 {
			break
		}
	}
	if x.s.cfg.BDAT {
		v.proceed = v.taken > 0
	}
	x.dirty = !v.proceed
	return v, nil
}

// judge reads the reply to one command of an envelope.
func (x *session) judge(v *verdict, i int) error {
	code, reply, err := x.c.reply(nil)
	if err != nil {
		return err
	}
	switch good := code/100 == 2; {
	case i > x.s.cfg.Recipients: // DATA
		v.proceed = code == 354
		good = v.proceed
		fallthrough
	case i == 0:
		if !good && v.code == 0 {
			v.code, v.reply = refusal(code), cutText(reply)
		}
	case good:
		v.taken++
	default:
		if v.code == 0 || v.taken == 0 && v.code >= 500 && code < 500 {
			v.code, v.reply = refusal(code), cutText(reply)
		}
		x.s.count.refused.Add(1)
	}
	if code == 421 {
		if v.taken > 0 && v.code == 0 {
			v.code, v.reply = code, cutText(reply)
		}
		return errBye
	}
	return nil
}

// refusal is a code that refuses: a 2yz or 3yz where it does not belong counts
// as a 5yz.
func refusal(code int) int {
	if code < 400 {
		return 500
	}
	return code
}

// talk sends messages with DATA, or with BDAT without pipelining.
func (x *session) talk(m message) error {
	ridden := false
	for {
		heard := x.c.got
		if !ridden && x.s.cfg.Pipelining != PipelineOff {
			x.envelope(m)
			if err := x.c.flush(time.Now()); err != nil {
				x.broke(m, false, heard)
				return err
			}
		}
		v, err := x.replies(m)
		if err != nil {
			x.abandon(m, v, err, heard)
			return err
		}
		var follower message
		ridden = false
		if v.proceed {
			if x.s.cfg.Pipelining == PipelineAcross && !x.full() {
				follower, ridden = x.next(false)
			}
			if err := x.deliver(m, v, follower, ridden); err != nil {
				if ridden {
					x.hold(follower)
				}
				return err
			}
		} else {
			x.settle(m, v.code, []byte(v.reply), time.Time{})
		}
		if m = follower; ridden {
			continue
		}
		if x.full() {
			return nil
		}
		var ok bool
		if m, ok = x.next(true); !ok {
			return nil
		}
	}
}

// abandon settles a message whose envelope was not answered to its end.
func (x *session) abandon(m message, v verdict, err error, heard int64) {
	if err == errBye {
		x.settle(m, max(v.code, 421), []byte(v.reply), time.Time{})
		return
	}
	x.broke(m, false, heard)
}

// deliver sends a message's text, and behind it the commands of the next if
// one rides, and reads the reply that decides.
func (x *session) deliver(m message, v verdict, follower message, ridden bool) error {
	now := time.Now()
	if v.taken > 0 {
		x.content(m, now)
		x.s.count.sent.Add(1)
	} else {
		x.c.small(".\r\n") // RFC 2920 section 3.1: DATA was taken, every recipient refused
	}
	if ridden {
		x.envelope(follower)
	}
	if err := x.c.flush(now); err != nil {
		x.broke(m, true, 0)
		return err
	}
	return x.final(m, v, now)
}

// content gathers a message's text and its end.
func (x *session) content(m message, now time.Time) {
	c := x.c
	msg := x.w.Message(m.n, now)
	if x.s.cfg.BDAT { // RFC 3030 section 2
		c.small("BDAT ")
		c.out = strconv.AppendInt(c.out, int64(msg.Size()), 10)
		c.small(" LAST\r\n")
	}
	c.out = append(c.out, msg.Head...)
	msg.Body(c.large)
	if !x.s.cfg.BDAT {
		c.small(".\r\n")
	}
}

// final reads the reply to a message's end and settles it. Over LMTP there is
// one for each recipient that was taken; one that is good makes the message
// count as accepted.
func (x *session) final(m message, v verdict, written time.Time) error {
	replies := 1
	if x.s.cfg.LMTP {
		replies = max(1, v.taken)
	}
	best, text := 0, ""
	for range replies {
		code, reply, err := x.c.reply(nil)
		if err != nil {
			x.s.count.broken.Add(1)
			return err
		}
		if v.taken == 0 { // whatever the server says of a message to nobody
			best, text = v.code, v.reply
			continue
		}
		if code/100 != 2 {
			code = refusal(code)
		}
		if best == 0 || code < best {
			if best = code; code >= 400 && x.s.count.firstError.Load() == nil {
				text = cutText(reply)
			}
		}
	}
	x.settle(m, best, []byte(text), written)
	if best == 421 {
		return errBye
	}
	return nil
}

// talkAhead sends messages with BDAT, each in one write with its envelope, and
// across messages as many of them as the window lets.
func (x *session) talkAhead(m message) error {
	window := 1
	if x.s.cfg.Pipelining == PipelineAcross {
		window = x.s.cfg.Window
	}
	have := true
	for {
		now := time.Now()
		for have {
			x.envelope(m)
			x.content(m, now)
			x.s.count.sent.Add(1)
			x.pending = append(x.pending, flight{message: m, written: now, resets: x.resets})
			x.resets = 0
			if have = false; len(x.pending) < window && !x.full() {
				m, have = x.next(false)
			}
		}
		if err := x.c.flush(now); err != nil {
			return x.lost(err)
		}
		first := x.pending[0]
		x.pending = x.pending[:copy(x.pending, x.pending[1:])]
		if err := x.settleAhead(first); err != nil {
			return x.lost(err)
		}
		if x.full() {
			if len(x.pending) == 0 {
				return nil
			}
			continue
		}
		if m, have = x.next(len(x.pending) == 0); !have && len(x.pending) == 0 {
			return nil
		}
	}
}

// settleAhead reads all replies to one message of talkAhead.
func (x *session) settleAhead(f flight) error {
	var v verdict
	err := x.resetReplies(f.resets)
	for i := 0; err == nil && i < x.steps(); i++ {
		err = x.judge(&v, i)
	}
	switch {
	case err == errBye:
		x.settle(f.message, max(v.code, 421), []byte(v.reply), f.written)
		return err
	case err != nil:
		x.s.count.broken.Add(1)
		return err
	}
	x.dirty = x.dirty || v.taken == 0
	return x.final(f.message, v, f.written)
}

// lost counts the messages whose replies will not come.
func (x *session) lost(err error) error {
	x.s.count.broken.Add(int64(len(x.pending)))
	x.pending = x.pending[:0]
	return err
}
