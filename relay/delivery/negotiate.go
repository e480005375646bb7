package delivery

import (
	"bytes"
	"fmt"
	"io"

	"tenma/relay/delivery/client"
	"tenma/relay/wire/smtp"
)

// step is where a transaction stands after its envelope.
type step uint8

const (
	stepGo   step = iota // the host waits for the body, or has it
	stepOver             // everybody is settled; the connection goes on
	stepLost             // the connection has ended
)

// negotiate takes a transaction through the replies to MAIL, RCPT and DATA,
// sending the commands too where nothing is pipelined.
func (s *session) negotiate(p *piece) step {
	for {
		lost, ready := s.resetBefore(p)
		if lost {
			return stepLost
		}
		if ready {
			code, lost := s.mail(p)
			if lost {
				return stepLost
			}
			if code == 503 && p.rode {
				if !s.resync(p) {
					return stepLost
				}
				continue
			}
			if s.rcpts(p, code/100 == 2) {
				return stepLost
			}
			return s.data(p, code/100 == 2)
		}
	}
}

// ask reads the reply to a command of p. A 421 tells that the host closes the
// connection (RFC 5321 section 3.8), whatever the command was. Before the host
// has said anything else about p, that is about the connection.
func (s *session) ask(p *piece, command string) (r client.Reply, lost bool) {
	t := &s.cfg.Timeouts
	wait := t.Rcpt
	switch command {
	case cmdMail:
		wait = t.Mail
	case cmdData:
		wait = t.Data
	case cmdBdat, cmdDot:
		wait = t.Dot
	}
	r, err := s.k.Reply(wait)
	if err != nil {
		s.lose(p, nil, finding{command: command, err: err, sent: p.bodySent})
		return r, true
	}
	if r.Code == 421 {
		s.lose(p, nil, finding{command: command, reply: r.Words()})
		return r, true
	}
	p.heard = true
	return r, false
}

// resetBefore clears what an earlier transaction left open.
func (s *session) resetBefore(p *piece) (lost, ready bool) {
	if !p.rset {
		return false, true
	}
	if !p.sent {
		s.k.Rset()
	}
	r, err := s.k.Reply(s.cfg.Timeouts.Reset)
	if err == nil && !r.Positive() {
		err = fmt.Errorf("%w: %d to RSET", client.ErrProtocol, r.Code)
	}
	if err != nil {
		s.lose(p, nil, finding{command: cmdMail, err: err})
		return true, false
	}
	return false, true
}

// mail reads the reply to MAIL. Refused for good, it decides for everybody;
// refused for now, the next host of the route is asked (RFC 5321 section 5.1).
// The replies to what was pipelined are still to come.
func (s *session) mail(p *piece) (code int, lost bool) {
	if !p.sent {
		s.sendMail(p)
	}
	r, lost := s.ask(p, cmdMail)
	if lost || r.Positive() || r.Code == 503 && p.rode {
		return r.Code, lost
	}
	o := judge(&s.k.place, finding{command: cmdMail, reply: r.Words()})
	if r.Code/100 == 4 && s.turnAllAway(p, o) {
		return r.Code, false
	}
	for _, i := range p.to {
		s.settleTimed(p, i, o)
	}
	return r.Code, false
}

// rcpts reads the replies to RCPT and sorts the recipients.
func (s *session) rcpts(p *piece, mailTaken bool) (lost bool) {
	a := p.job.a
	for _, i := range p.to {
		if !p.sent {
			if !mailTaken {
				return false
			}
			s.k.Rcpt(&a.Envelope.Recipients[a.To[i]])
		}
		r, lost := s.ask(p, cmdRcpt)
		if lost {
			return true
		}
		switch {
		case r.Positive(): // 250, 251, 252
			p.ok = append(p.ok, i)
		case !mailTaken:
		default:
			s.refuse(p, i, r.Words())
		}
	}
	return false
}

// refuse settles a recipient that was not taken, or puts it aside where the
// host takes fewer in one transaction than we sent: RFC 5321 section 4.5.3.1.10
// has 452 for that, and 552 from hosts of old; X.5.3 (RFC 3463 section 3.6) says
// it beyond doubt. With another enhanced status the reply is about a mailbox
// that is full, or a disk.
func (s *session) refuse(p *piece, i int, reply smtp.Reply) {
	o := judge(&s.k.place, finding{command: cmdRcpt, reply: reply})
	none := reply.Status == smtp.Status{}
	tooMany := (reply.Code == 452 || reply.Code == 552) && (none || reply.Status[1] == 5 && reply.Status[2] == 3)
	if tooMany && len(p.ok) > 0 {
		p.later, p.laterOutcome = append(p.later, i), o
		return
	}
	s.settleTimed(p, i, o)
}

// data asks to send the body, if anybody is there to get it, and deals with
// hosts whose answer does not fit.
func (s *session) data(p *piece, mailTaken bool) step {
	taken := mailTaken && len(p.ok) > 0
	switch {
	case p.bodySent && taken:
		return stepGo
	case p.bodySent:
		return s.vainBody(p)
	case !p.dataSent && !taken:
		s.k.dirty = mailTaken
		return stepOver
	case !p.dataSent && s.chunks():
		return stepGo
	case !p.dataSent:
		s.k.Data()
	}
	r, lost := s.ask(p, cmdData)
	switch {
	case lost:
		return stepLost
	case r.Code == 354 && taken:
		return stepGo
	case r.Code == 354:
		return s.vainDot(p)
	case taken:
		s.refuseData(p, r.Words())
	}
	if r.Positive() {
		// It took DATA for a command without a body. What it takes the next
		// line for, nobody knows.
		s.lose(nil, nil, finding{})
		return stepLost
	}
	s.k.dirty = true
	return stepOver
}

func (s *session) refuseData(p *piece, reply smtp.Reply) {
	o := judge(&s.k.place, finding{command: cmdData, reply: reply})
	for _, i := range p.ok {
		s.settleTimed(p, i, o)
	}
	s.settleLater(p, false)
}

// vainBody reads the reply to a body that was sent along though, as it turned
// out, there was nobody to get it.
func (s *session) vainBody(p *piece) step {
	if _, lost := s.ask(p, cmdBdat); lost {
		return stepLost
	}
	s.k.dirty = true // RFC 3030 section 2
	return stepOver
}

// vainDot ends a DATA that was pipelined and that the host went into though
// there is nobody to get the message (RFC 2920 section 3.1: a lone dot). If it
// did take a recipient, a lone dot would be an empty message; and LMTP says
// nothing about how many replies would come.
func (s *session) vainDot(p *piece) step {
	if len(p.ok) > 0 || s.k.key.lmtp {
		s.lose(nil, nil, finding{})
		return stepLost
	}
	s.k.Dot()
	if _, lost := s.ask(p, cmdDot); lost {
		return stepLost
	}
	return stepOver
}

// resync begins a transaction again that rode behind one which the host still
// had open: the replies to its other commands are read and thrown away, then
// RSET clears the way.
func (s *session) resync(p *piece) (ok bool) {
	s.client.rough.add(s.k.name, roughFor)
	taken := 0
	for range p.to {
		p.heard = false // what it says is about the other message
		r, lost := s.ask(p, cmdRcpt)
		if lost {
			return false
		}
		if r.Positive() {
			taken++
		}
	}
	p.heard = false
	if p.dataSent {
		r, lost := s.ask(p, cmdData)
		if lost {
			return false
		}
		if r.Code == 354 {
			if taken > 0 || s.k.key.lmtp { // see vainDot
				s.lose(nil, nil, finding{})
				s.untry(p, errRode)
				return false
			}
			p.heard = false
			s.k.Dot()
			if _, lost := s.ask(p, cmdDot); lost {
				return false
			}
		}
	}
	p.rset, p.heard, p.dataSent = true, false, false
	phases := p.phases
	if err := s.send(p, false); err != nil {
		s.lose(p, nil, finding{command: cmdMail, err: err})
		return false
	}
	p.phases = phases
	return true
}

// headerNeedsUTF8 looks for octets above 127 in the header section, of which it
// reads what a sane header has.
func (s *session) headerNeedsUTF8(p *piece) (bool, error) {
	a := p.job.a
	if high(a.Header) {
		return true, nil
	}
	body, err := a.Open(s.held)
	if err != nil {
		return false, err
	}
	defer body.Close() //nolint:errcheck // only read
	buf := make([]byte, 64<<10)
	n, err := io.ReadFull(body, buf)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return false, err
	}
	head, _, _ := bytes.Cut(buf[:n], []byte("\r\n\r\n"))
	return high(head), nil
}

func high(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return true
		}
	}
	return false
}
