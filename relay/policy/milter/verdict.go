package milter

import (
	"fmt"
	"log/slog"
	"time"

	"tenma/relay/mail"
	wire "tenma/relay/wire/milter"
	"tenma/relay/wire/smtp"
)

// Verdict is what all filters together say of a message. The zero value lets it pass
// as it is.
type Verdict struct {
	Refuse  *smtp.Error // the client hears this, and the message is not taken
	Discard string      // the filter that wants the message taken and thrown away
	Hold    string      // why the message is to wait for an operator; "": it is not
	Added   []byte      // fields to go before the message's own, each line ended by CRLF
	Header  []byte      // what takes the place of its header section; nil: it stays
}

// final reports that no other filter is to be asked.
func (v *Verdict) final() bool { return v.Refuse != nil || v.Discard != "" }

// judgement is a verdict as it comes about. It belongs to one message.
type judgement struct {
	a       *Adviser
	m       *message
	size    int64
	verdict Verdict
}

// hear takes what one filter says, and makes its changes. A failure is decided by the
// filter's Default.
func (j *judgement) hear(s *server, o outcome, err error) {
	if err == nil && o.decision == wire.Accept {
		err = j.change(s, o)
	}
	if err != nil {
		j.failed(s, err)
		return
	}
	result := "passed"
	switch o.decision {
	case wire.Discard:
		j.verdict.Discard, result = s.Name, "discarded"
	case wire.ReplyCode:
		j.refuse(s, o.reply, nil)
		if result = "refused"; o.reply.Temporary() {
			result = "deferred"
		}
	default:
		for _, c := range o.changes {
			if c.Kind == wire.OpQuarantine {
				result = "held"
			}
		}
	}
	j.a.deps.Metrics.Count(s.Name, result)
}

func (j *judgement) refuse(s *server, r smtp.Reply, err error) {
	j.verdict.Refuse = &smtp.Error{Reply: r, Err: fmt.Errorf("mail filter %s: %w", s.Name, orReply(err, r))}
}

// orReply is the cause of a refusal: a failure, or what the filter said.
func orReply(err error, r smtp.Reply) error {
	if err != nil {
		return err
	}
	return &smtp.Error{Reply: r}
}

// change makes all changes of one filter, or none of them.
func (j *judgement) change(s *server, o outcome) error {
	h, e, hold := j.m.fields().clone(), *j.m.envelope, j.verdict.Hold
	var count, size int
	for _, c := range o.changes {
		switch c.Kind {
		case wire.OpQuarantine:
			hold = s.Name + ": " + c.Value
		case wire.OpAddHeader, wire.OpInsertHeader, wire.OpChangeHeader:
			n, err := h.apply(c, o.spaced)
			if err != nil {
				return err
			}
			count++
			if size += n; count > s.MaxHeaders || size > s.MaxHeaderSize {
				return fmt.Errorf("changes of more than %d fields or %d octets", s.MaxHeaders, s.MaxHeaderSize)
			}
		default:
			if err := readdress(&e, c); err != nil {
				return err
			}
		}
	}
	if len(e.Recipients) == 0 {
		j.verdict.Discard = s.Name
	}
	j.m.header, j.verdict.Hold = h, printable(hold)
	j.m.envelope.Sender, j.m.envelope.Recipients = e.Sender, e.Recipients
	return nil
}

// maxReason bounds the reason for which a message is held, in octets.
const maxReason = 256

// printable makes a filter's text fit for logs and listings.
func printable(s string) string {
	b := []byte(s[:min(len(s), maxReason)])
	for i, c := range b {
		if c < ' ' || c >= 0x7f {
			b[i] = '?'
		}
	}
	return string(b)
}

// failed decides about a message that a filter said nothing about.
func (j *judgement) failed(s *server, err error) {
	j.a.deps.Metrics.Count(s.Name, "failed")
	s.logFailure(j.a.deps.Log, j.m.envelope, err)
	switch s.Default {
	case Take:
	case Refuse:
		j.refuse(s, smtp.Reply{Code: 550, Status: smtp.Status{5, 7, 1}, Text: "Message cannot be checked by a mail filter"}, err)
	default:
		j.refuse(s, smtp.Reply{Code: 451, Status: smtp.Status{4, 7, 1}, Text: "Message cannot be checked by a mail filter now, try again later"}, err)
	}
}

// logEvery is how often failures of one filter are logged: a filter that is away fails
// for each message.
const logEvery = time.Minute

func (s *server) logFailure(log *slog.Logger, e *mail.Envelope, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); s.told.IsZero() || now.Sub(s.told) >= logEvery {
		log.Warn("mail filter failed; see that it runs and that its socket may be opened", "filter", s.Name, "address", s.Address,
			"default", string(s.Default), "session", e.Session, "unlogged", s.silent, "err", err)
		s.told, s.silent = now, 0
		return
	}
	s.silent++
}

// end gives the verdict with the text that it puts before the message. What becomes of
// a message that its client believes to be on its way stands in the log.
func (j *judgement) end() Verdict {
	v := &j.verdict
	if v.Refuse != nil {
		return *v
	}
	if j.m.header != nil {
		v.Added, v.Header = j.m.header.text()
	}
	log, e := j.a.deps.Log.With("id", j.m.id, "session", j.m.envelope.Session, "sender", j.m.envelope.Sender), j.m.envelope
	switch {
	case v.Discard != "":
		log.Info("message discarded, as a mail filter wants it", "filter", v.Discard)
	case v.Hold != "":
		log.Info("message held, as a mail filter wants it", "reason", v.Hold, "recipients", len(e.Recipients))
	}
	return *v
}
