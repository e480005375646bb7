package delivery

import (
	"errors"
	"fmt"
	"time"

	"tenma/relay/delivery/client"
	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// bdatWithMail is the largest message that goes out in the same write as its
// MAIL: it costs no waiting, but is sent in vain if no recipient is taken.
const bdatWithMail = 24 << 10

// piece is one transaction: recipients of one attempt that travel together.
type piece struct {
	busy bool // in use; the memory is used again

	job   *job
	to    []int // indexes into job.a.To
	ok    []int // those that the host took
	body  spool.Body
	head  []byte // what goes before it
	size  int64
	eight bool // it goes out with octets above 127

	first    bool // of this connection in this call
	sent     bool // the commands up to DATA have been sent
	dataSent bool // DATA among them
	bodySent bool // one BDAT with everything among them
	rode     bool // they went out behind another message's final dot
	rset     bool // RSET before them
	heard    bool // the host has answered one of them

	// later are recipients beyond what the host takes in one transaction (RFC
	// 5321 section 4.5.3.1.10): the next transaction takes them, unless this
	// one fails.
	later        []int
	laterOutcome mail.Outcome

	start  time.Time
	phases mail.Phases
}

// blank gives a piece that is not in use; at most two ever are.
func (s *session) blank() *piece {
	p := &s.spares[0]
	if p.busy {
		p = &s.spares[1]
	}
	*p = piece{busy: true, to: p.to[:0], ok: p.ok[:0], later: p.later[:0]}
	return p
}

// prepare makes the next piece of a job. It gives nil, all its recipients
// settled, where this host cannot carry the message.
func (s *session) prepare(j *job) *piece {
	batch := s.cfg.BatchRecipients
	if s.k.batch > 0 {
		batch = min(batch, s.k.batch)
	}
	p := s.blank()
	p.job, p.first = j, !s.began
	n := min(batch, len(j.todo))
	p.to, j.todo = append(p.to, j.todo[:n]...), j.todo[n:]
	if !s.admit(p) {
		s.finish(p)
		return nil
	}
	s.began = true
	return p
}

// admit compares what the message needs with what the host offered, and opens
// the body.
func (s *session) admit(p *piece) bool {
	a := p.job.a
	form, err := s.form(p)
	if err != nil {
		s.cannot(p, err)
		return false
	}
	body, err := form.Open(s.held)
	if err != nil {
		s.fail(p, judge(&s.k.place, finding{command: cmdMail, err: fmt.Errorf("%w: %w", errOurs, err)}))
		return false
	}
	p.body, p.head, p.size = body, form.Header, int64(len(form.Header))+body.Size()
	if !client.Sendable(a.Envelope.ReversePath()) {
		s.fail(p, judge(&s.k.place, finding{command: cmdMail, err: ours(553, smtp.Status{5, 1, 7}, "sender address cannot be sent")}))
		return false
	}
	if e := s.unfit(p); e != nil {
		s.cannot(p, e)
		return false
	}
	keep := p.to[:0]
	for _, i := range p.to {
		to := a.Envelope.Recipients[a.To[i]].Address
		switch {
		case !client.Sendable(to):
			s.settle(p.job, i, judge(&s.k.place, finding{command: cmdRcpt, err: ours(553, smtp.Status{5, 1, 3}, "address cannot be sent")}))
		case to.NeedsUTF8() && !s.k.Ext.UTF8:
			o := judge(&s.k.place, finding{command: cmdRcpt, err: ours(553, smtp.Status{5, 6, 7}, "address needs SMTPUTF8, which "+s.k.host+" does not offer")})
			if !s.turnAway(p.job, []int{i}, o) {
				s.settle(p.job, i, p.job.unlessMissed(o, nil))
			}
		default:
			keep = append(keep, i)
		}
	}
	p.to = keep
	return len(keep) > 0
}

// form gives the message as the host can take it (RFC 6152 section 3). Without a
// Renderer it stays as it is, and unfit says so.
func (s *session) form(p *piece) (mail.Rendition, error) {
	a := p.job.a
	p.eight = a.Envelope.EightBit
	renderer := s.client.deps.Renderer
	switch {
	case renderer == nil:
	case p.eight && !s.k.Ext.EightBit:
		p.eight = false
		return renderer.SevenBit(s.held, a)
	case a.Envelope.LongLines: // RFC 5321 section 4.5.3.1.6
		return renderer.ShortLines(s.held, a)
	}
	return mail.Rendition{Header: a.Header, Open: a.Open}, nil
}

// unfit says why the host cannot carry the message to anybody, if so. Another
// host of the route perhaps can (RFC 8689 section 4.2.1 wants it to be asked).
func (s *session) unfit(p *piece) error {
	e, x := p.job.a.Envelope, &s.k.Ext
	switch {
	case x.Size > 0 && p.size > x.Size: // RFC 1870 section 6.1: do not even ask
		return ours(552, smtp.Status{5, 3, 4}, fmt.Sprintf("message of %d octets is larger than %s takes (%d)", p.size, s.k.host, x.Size))
	case e.RequireTLS && !(x.RequireTLS && s.k.tls.Verified): // RFC 8689 section 4.2.1
		return ours(550, smtp.Status{5, 7, 30}, s.k.host+" does not support REQUIRETLS")
	case e.ReversePath().NeedsUTF8() && !x.UTF8: // RFC 6531 section 3.5
		return ours(553, smtp.Status{5, 6, 7}, "sender address needs SMTPUTF8, which "+s.k.host+" does not offer")
	case p.eight && !x.EightBit: // RFC 6152 section 3
		return ours(554, smtp.Status{5, 6, 3}, "message needs 8BITMIME, which "+s.k.host+" does not offer")
	case e.SMTPUTF8 && e.EightBit && !x.UTF8:
		// The submitter asked for SMTPUTF8. It is needed only if the header
		// has octets above 127; a body is 8BITMIME's affair.
		needs, err := s.headerNeedsUTF8(p)
		if err != nil {
			return fmt.Errorf("%w: %w", errOurs, err)
		}
		if needs {
			return ours(553, smtp.Status{5, 6, 7}, "message header needs SMTPUTF8, which "+s.k.host+" does not offer")
		}
	}
	return nil
}

// cannot looks for another host of the route where this one cannot carry the
// message, of which nothing was sent.
func (s *session) cannot(p *piece, err error) {
	o := judge(&s.k.place, finding{command: cmdMail, err: err})
	if errors.Is(err, errOurs) || !s.turnAllAway(p, o) {
		s.fail(p, p.job.unlessMissed(o, nil))
	}
}

// fail settles a whole piece, of which nothing was sent.
func (s *session) fail(p *piece, o mail.Outcome) {
	for _, i := range p.to {
		s.settle(p.job, i, o)
	}
}

func (s *session) pipelines() bool { return s.k.Ext.Pipelining && !s.cfg.NoPipelining }
func (s *session) chunks() bool    { return s.k.Ext.Chunking && !s.cfg.NoBDAT }

// mayRide reports whether the next commands may go out behind p's final dot.
func (s *session) mayRide(p *piece) bool {
	return s.k.clean && s.pipelines() && len(p.later) == 0 && !s.client.rough.has(s.k.name)
}

// send begins a transaction. Where the host takes pipelining (RFC 2920) the
// commands are collected for one write, up to DATA, or up to a small body in
// one BDAT; otherwise carry sends each when its turn comes.
//
// A body goes along only on a connection that is new: on an older one, a loss
// before the first reply must leave no doubt that the message did not arrive.
// And never with LMTP, where the number of replies to it depends on the
// replies before (RFC 2033 section 4.2).
func (s *session) send(p *piece, riding bool) error {
	k := s.k
	if !riding && k.Unread() {
		return errExtra
	}
	k.used++
	p.rset = p.rset || k.dirty
	k.dirty = false
	p.phases, k.phases = k.phases, mail.Phases{}
	p.start = time.Now()
	s.client.deps.Metrics.Transactions.Inc()
	if p.rode = riding; riding {
		s.client.deps.Metrics.Rides.Inc()
	}
	if p.sent = s.pipelines(); !p.sent {
		return nil
	}
	if p.rset {
		k.Rset()
	}
	s.sendMail(p)
	a := p.job.a
	for _, i := range p.to {
		k.Rcpt(&a.Envelope.Recipients[a.To[i]])
	}
	switch {
	case !s.chunks():
		k.Data()
		p.dataSent = true
	case k.used == 1 && p.size <= bdatWithMail && !k.key.lmtp:
		p.bodySent = true
		return s.sendBody(p)
	}
	return nil
}

func (s *session) sendMail(p *piece) {
	e := p.job.a.Envelope
	s.k.Mail(e.ReversePath(), client.MailParams{
		Size: p.size, EightBit: p.eight, UTF8: s.wantsUTF8(p), RequireTLS: e.RequireTLS, Ret: e.Ret, EnvID: e.EnvID,
	})
}

// wantsUTF8 reports whether the transaction is to be an internationalised one.
func (s *session) wantsUTF8(p *piece) bool {
	a := p.job.a
	if a.Envelope.SMTPUTF8 || a.Envelope.ReversePath().NeedsUTF8() {
		return true
	}
	for _, i := range p.to {
		if a.Envelope.Recipients[a.To[i]].Address.NeedsUTF8() {
			return true
		}
	}
	return false
}

// sendBody collects the body, writing as it grows; its end is not flushed. An
// error of ours wraps errOurs; after any error the connection is useless, since
// the host waits for the rest.
func (s *session) sendBody(p *piece) error {
	k := s.k
	if s.chunks() {
		k.Bdat(p.size)
		k.BeginBody(false)
	} else {
		k.BeginBody(true)
	}
	if err := k.Body(p.head); err != nil {
		return err
	}
	w := client.BodyWriter{Conn: k.Conn}
	_, err := p.body.WriteTo(&w)
	switch {
	case w.Err != nil:
		return w.Err
	case err != nil:
		return fmt.Errorf("%w: %w", errOurs, err)
	case w.N != p.body.Size():
		return fmt.Errorf("%w: %d octets instead of %d", errOurs, w.N, p.body.Size())
	}
	k.EndBody()
	return nil
}

// carry brings a transaction that send began to its end, and gives the one that
// has begun to ride behind it, if any. s.lost tells that the connection ended.
func (s *session) carry(p *piece) (ahead *piece) {
	k := s.k
	k.Limit = p.start.Add(10 * s.cfg.Timeouts.Rcpt) // for a host that answers each of many RCPT at the last moment
	switch s.negotiate(p) {
	case stepLost:
		s.finish(p)
		return nil
	case stepOver:
		s.finish(p)
		return nil
	}
	k.Limit = time.Time{}
	if !p.bodySent {
		if k.Unread() {
			s.lose(p, nil, s.early())
			return nil
		}
		if err := s.sendBody(p); err != nil {
			s.lostInBody(p, nil, err)
			return nil
		}
		if s.mayRide(p) {
			if ahead = s.take(); ahead != nil {
				if err := s.send(ahead, true); err != nil {
					s.lose(p, ahead, finding{command: s.finalCommand(), err: err, sent: true})
					return nil
				}
			}
		}
		if err := k.Flush(); err != nil {
			s.lostInBody(p, ahead, err)
			return nil
		}
	}
	return s.conclude(p, ahead)
}

func (s *session) finalCommand() string {
	if s.chunks() {
		return cmdBdat
	}
	return cmdDot
}

// lostInBody is lose for a connection that broke while the body was written.
// The host may have said why before it closed; a reply that it made without
// having seen the end of the body is never a positive one.
func (s *session) lostInBody(p, ahead *piece, err error) {
	f := finding{command: s.finalCommand(), err: err, sent: ahead != nil}
	if !errors.Is(err, errOurs) {
		if r, e := s.k.Late(s.cfg.Timeouts.Reset); e == nil && r.Code >= 400 {
			f.reply, f.err = r.Words(), nil
		}
	}
	s.lose(p, ahead, f)
}

// conclude reads what the host says to the whole message: one reply, or in LMTP
// one for each recipient that it took (RFC 2033 section 4.2). It waits even if
// the context is cancelled (promise 6): giving up would repeat the message.
func (s *session) conclude(p, ahead *piece) *piece {
	k, command := s.k, s.finalCommand()
	var reply smtp.Reply
	for n, i := range p.ok {
		if n == 0 || k.key.lmtp && reply.Code != 421 {
			r, err := k.Reply(s.cfg.Timeouts.Dot)
			if err != nil {
				s.lose(p, ahead, finding{command: command, err: err, sent: true})
				return nil
			}
			reply = r.Words()
			if last := !k.key.lmtp || n == len(p.ok)-1; last && ahead == nil && k.Unread() && !s.closing() {
				s.lose(p, nil, finding{command: command, err: errExtra, sent: true})
				return nil
			}
		}
		s.settleTimed(p, i, judge(&k.place, finding{command: command, reply: reply}))
	}
	s.client.deps.Metrics.Seconds.Observe(time.Since(p.start).Seconds())
	s.settleLater(p, reply.Positive())
	s.finish(p)
	switch {
	case s.lost || reply.Code == 421 || reply.Code/100 == 3:
		s.lose(nil, ahead, finding{})
		return nil
	case reply.Positive():
		k.clean = true
	case s.chunks() && ahead == nil:
		k.dirty = true // after a refused BDAT the state is not known (RFC 3030 section 2)
	}
	if ahead != nil {
		ahead.start = time.Now()
	}
	return ahead
}

// early judges a reply that stands there before the body was sent. Behind a 354
// it may be a refusal by a host that has seen enough.
func (s *session) early() finding {
	if !s.chunks() {
		if r, err := s.k.Late(s.cfg.Timeouts.Reset); err == nil && r.Code >= 400 {
			return finding{command: cmdDot, reply: r.Words()}
		}
	}
	return finding{command: cmdData, err: errExtra}
}

// closing reads a reply that nobody asked for and reports whether it is the 421
// of a host that closes the connection. Anything else means that replies and
// commands no longer correspond, so that the reply to a message may be that to
// an earlier command: then the message must not count as sent.
func (s *session) closing() bool {
	r, err := s.k.Late(s.cfg.Timeouts.Reset)
	if err != nil || r.Code != 421 {
		return false
	}
	s.lost = true
	return true
}

// settleLater deals with recipients beyond the host's limit: the next
// transaction takes them if this one went well.
func (s *session) settleLater(p *piece, well bool) {
	if len(p.later) == 0 {
		return
	}
	if well {
		s.k.batch = len(p.ok)
		p.job.todo = append(append([]int(nil), p.later...), p.job.todo...)
		return
	}
	for _, i := range p.later {
		s.settleTimed(p, i, p.laterOutcome)
	}
}
