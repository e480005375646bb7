package milter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tenma/relay/mail"
	wire "tenma/relay/wire/milter"
	"tenma/relay/wire/smtp"
)

// message is what a filter is told before the body.
type message struct {
	id       string
	hostname string
	client   string // its name, "" for none
	envelope *mail.Envelope
	ahead    []byte // as in Message
	section  []byte
	header   *fields // see fields
}

// fields gives the header section in parts. It is read when it is first needed, by who
// has a slot of the server: what is 256 KiB of short lines takes some MB as fields, which
// a message that waits for its turn shall not.
func (m *message) fields() *fields {
	if m.header == nil {
		m.header = parse(m.ahead, m.section)
	}
	return m.header
}

// outcome is what a filter says in the end.
type outcome struct {
	decision wire.Kind // Accept, Discard, or ReplyCode for each way to refuse
	reply    smtp.Reply
	changes  []wire.Reply // where the message is accepted
	spaced   bool         // values of fields come with the space behind the colon
}

// Bounds of what one answer to the end of a message may be made of. A filter that
// reports progress for longer than maxWait has failed anyway; this many packets would
// keep a core busy for nothing.
const (
	maxProgress = 10_000
	maxChanges  = 4096    // more than recipients and fields together can be
	maxOctets   = 1 << 20 // of all changes
)

// errFilter is a failure of the filter's own making: it asked for the connection to
// fail.
var errFilter = errors.New("the filter gave up")

// talk is the dialogue about one message with one filter. It belongs to one goroutine.
// Once decided or err is set nothing more is said.
type talk struct {
	s       *server
	c       *conn
	ctx     context.Context
	release func() bool // ends the watch over ctx
	out     []byte      // packets that are not written yet
	waited  time.Duration
	heard   bool // the filter has answered since the connection was taken
	full    bool // it wants no more of the body
	decided *outcome
	err     error // why the talk has failed
}

// maxOut is how much is gathered before it is written: a filter that answers nothing
// before the end gets a usual message in one write.
const maxOut = 64 << 10

// open begins a talk: everything up to the end of the header section. The caller has
// a slot of the server, and must end the talk by end or abort. The error is of the
// connection; what fails behind it is told by end.
func (s *server) open(ctx context.Context, m *message, fresh bool) (*talk, error) {
	c, err := s.get(ctx, fresh)
	if err != nil {
		return nil, err
	}
	t := &talk{s: s, c: c, ctx: ctx}
	t.release = context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	if c.used {
		t.out = wire.AppendNext(t.out)
	}
	t.session(m)
	t.recipients(m)
	t.header(m)
	return t, nil
}

// over reports that nothing more is to be said.
func (t *talk) over() bool { return t.decided != nil || t.err != nil }

// event sends one packet with the macros before it, and takes the answer to it.
func (t *talk) event(e wire.Event, not, silent wire.Steps, macros []wire.Macro, packet func(b []byte) []byte) {
	if t.over() || t.c.agreed.Steps&not != 0 {
		return
	}
	if macros != nil {
		t.out = wire.AppendMacros(t.out, e, macros)
	}
	t.out = packet(t.out)
	if t.c.agreed.Steps&silent != 0 {
		if len(t.out) >= maxOut {
			t.err = t.flush()
		}
		return
	}
	if r, err := t.await(e, t.s.Command); err != nil {
		t.err = err
	} else {
		t.decided, t.err = t.decide(r)
	}
}

// session tells of the client and the sender.
func (t *talk) session(m *message) {
	e := m.envelope
	name := m.client
	if name == "" {
		name = "[" + e.Client.Addr().Unmap().WithZone("").String() + "]"
	}
	var options []string
	if e.SMTPUTF8 {
		options = append(options, "SMTPUTF8")
	}
	t.event(wire.Connect, wire.NoConnect, wire.SilentConnect, connectMacros(m.hostname, m.client, e), func(b []byte) []byte {
		return wire.AppendConnect(b, name, e.Client)
	})
	t.event(wire.Helo, wire.NoHelo, wire.SilentHelo, nil, func(b []byte) []byte {
		return wire.AppendHelo(b, e.HELO)
	})
	t.event(wire.Mail, wire.NoMail, wire.SilentMail, mailMacros(m.id, e), func(b []byte) []byte {
		return wire.AppendPath(b, wire.Mail, e.Sender.String(), options...)
	})
}

// recipients tells of each recipient. A filter may refuse one and take the others, but
// all of them have been answered with 250 by now. So the message is refused, and the
// reply says because of whom: its sender can leave that one out, whereas a recipient
// that was dropped would be told to nobody.
func (t *talk) recipients(m *message) {
	all := m.envelope.Recipients
	for i := 0; i < len(all) && !t.over(); i++ {
		to := all[i].Address
		t.event(wire.Rcpt, wire.NoRcpt, wire.SilentRcpt, rcptMacros(to), func(b []byte) []byte {
			return wire.AppendPath(b, wire.Rcpt, to.String())
		})
		if d := t.decided; d != nil && d.decision == wire.ReplyCode && len(all) > 1 {
			d.reply.Text = fmt.Sprintf("<%s>: %s", to, d.reply.Text)
		}
	}
}

// header tells of the fields. A line that is no field is left out.
func (t *talk) header(m *message) {
	id := []wire.Macro{{Name: "i", Value: m.id}}
	if t.c.agreed.Version >= 4 { // which brought the command and the flag against it
		t.event(wire.Data, wire.NoData, wire.SilentData, id, func(b []byte) []byte {
			return wire.AppendEvent(b, wire.Data)
		})
	}
	spaced := t.c.agreed.Steps&wire.LeadingSpace != 0
	for f := range m.fields().all {
		t.event(wire.Header, wire.NoHeader, wire.SilentHeader, nil, func(b []byte) []byte {
			return wire.AppendHeader(b, []byte(f.name), unfold(f.raw, spaced))
		})
	}
	t.event(wire.HeaderEnd, wire.NoHeaderEnd, wire.SilentHeaderEnd, id, func(b []byte) []byte {
		return wire.AppendEvent(b, wire.HeaderEnd)
	})
}

// body passes on the next part of it.
func (t *talk) body(p []byte) {
	for len(p) > 0 && !t.full && !t.over() {
		n := min(len(p), wire.MaxChunk)
		t.event(wire.Body, wire.NoBody, wire.SilentBody, nil, func(b []byte) []byte {
			return wire.AppendBody(b, p[:n])
		})
		p = p[n:]
	}
}

// end asks for the verdict, and gives the connection back.
func (t *talk) end(m *message) (outcome, error) {
	if !t.over() {
		t.out = wire.AppendMacros(t.out, wire.BodyEnd, []wire.Macro{{Name: "i", Value: m.id}})
		t.out = wire.AppendEvent(t.out, wire.BodyEnd)
		changes, err := t.changes()
		if t.err = err; err == nil && t.release() {
			t.s.keep(t.c)
			t.decided.changes, t.decided.spaced = changes, t.c.agreed.Steps&wire.LeadingSpace != 0
			return *t.decided, nil
		}
	}
	t.abort()
	if t.err == nil {
		t.err = t.ctx.Err()
	}
	if t.err != nil {
		return outcome{}, t.err
	}
	return *t.decided, nil
}

// changes takes what a filter says at the end of a message, up to its decision.
func (t *talk) changes() (all []wire.Reply, err error) {
	for octets := 0; len(all) <= maxChanges && octets <= maxOctets; {
		r, err := t.await(wire.BodyEnd, t.s.End)
		switch {
		case err != nil:
			return nil, err
		case r.IsChange():
			all = append(all, r)
			octets += len(r.Name) + len(r.Value)
			continue
		}
		if t.decided, err = t.decide(r); t.decided == nil {
			t.decided = &outcome{decision: wire.Accept} // to continue at the end is to accept
		}
		return all, err
	}
	return nil, fmt.Errorf("%w: changes without end", wire.ErrProtocol)
}

// abort ends a talk before its time.
func (t *talk) abort() {
	t.release()
	if t.err != nil {
		t.c.Close()
		return
	}
	t.s.quit(t.c)
}

// flush writes what is gathered.
func (t *talk) flush() error {
	t.c.SetWriteDeadline(time.Now().Add(t.s.Command))
	if err := t.ctx.Err(); err != nil { // its deadline may have just been overwritten
		return err
	}
	_, err := t.c.Write(t.out)
	t.out = t.out[:0]
	return err
}

// await takes the answer to an event. Each sign of progress begins the patience anew,
// within maxWait.
func (t *talk) await(e wire.Event, patience time.Duration) (wire.Reply, error) {
	if len(t.out) > 0 {
		if err := t.flush(); err != nil {
			return wire.Reply{}, err
		}
	}
	for range maxProgress {
		start := time.Now()
		t.c.SetReadDeadline(start.Add(min(patience, maxWait-t.waited)))
		if err := t.ctx.Err(); err != nil {
			return wire.Reply{}, err
		}
		code, data, err := wire.Read(t.c.in, t.c.buf)
		t.waited += time.Since(start)
		if err != nil {
			return wire.Reply{}, err
		}
		t.heard = true
		r, err := wire.ParseReply(e, code, data, t.c.agreed)
		if err != nil || r.Kind != wire.Progress {
			return r, err
		}
	}
	return wire.Reply{}, fmt.Errorf("%w: progress without end", wire.ErrProtocol)
}

// decide makes an outcome of an answer, nil where the talk goes on.
func (t *talk) decide(r wire.Reply) (*outcome, error) {
	refuse := func(code int, status smtp.Status, text string) (*outcome, error) {
		return &outcome{decision: wire.ReplyCode, reply: smtp.Reply{Code: code, Status: status, Text: text}}, nil
	}
	switch r.Kind {
	case wire.Skip:
		t.full = true
		return nil, nil
	case wire.Accept, wire.Discard:
		return &outcome{decision: r.Kind}, nil
	case wire.Reject: // RFC 3463 section 3.8: delivery not authorized, message refused
		return refuse(550, smtp.Status{5, 7, 1}, "Message refused by a mail filter")
	case wire.TempFail:
		return refuse(451, smtp.Status{4, 7, 1}, "A mail filter wants the message later, try again")
	case wire.Shutdown:
		return refuse(421, smtp.Status{4, 7, 1}, "A mail filter wants the session to end, try again later")
	case wire.ReplyCode:
		status := r.SMTP.Status
		if status == (smtp.Status{}) {
			status = smtp.Status{uint16(r.SMTP.Code / 100), 7, 1}
		}
		return refuse(r.SMTP.Code, status, strings.ReplaceAll(r.SMTP.Text, "\n", " "))
	case wire.ConnFail:
		return nil, errFilter
	}
	return nil, nil
}
