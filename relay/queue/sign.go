package queue

import (
	"tenma/relay/mail"
	"tenma/relay/queue/fate"
	"tenma/relay/queue/lanes"
	"tenma/relay/wire/smtp"
)

// wantsSign reports that the message's parts must pass through sign before
// they run.
func (s *shard) wantsSign(l *ledger) bool {
	if l.signing == unasked {
		l.signing = signed
		if s.q.deps.Signer != nil && l.state.Signature == nil && s.q.deps.Signer.Wants(l.env) {
			l.signing = wanted
		}
	}
	return l.signing != signed
}

// header is what goes before the body.
func header(l *ledger) []byte {
	if len(l.state.Signature) == 0 {
		return l.env.Prefix
	}
	h := make([]byte, 0, len(l.state.Signature)+len(l.env.Prefix))
	return append(append(h, l.state.Signature...), l.env.Prefix...)
}

// sign gets a part that has a place its signature. Each message is signed once,
// when the first of its parts gets a place: not on the way in, and not for mail
// that waits behind a thousand others. There may be many lanes of a thousand
// places, so urgent mail stands before the rest in this line too.
func (s *shard) sign(p *part) {
	l := p.led
	if l == nil {
		return
	}
	switch l.signing {
	case signed:
		s.signedPart(l, p)
	case inSigning:
		l.unsigned = append(l.unsigned, p)
	default:
		l.signing = inSigning
		l.unsigned = append(l.unsigned, p)
		q, id, env := s.q, l.id, l.env
		q.metrics.Signatures.Inc()
		q.signs.DoFor(int(p.class), func() {
			text, err := q.signature(env, p)
			s.box.Post(msg{kind: perform, do: func() {
				if err != nil {
					q.log.Error("a message could not be signed; it is deferred", "id", id.String(), "err", err)
				}
				s.signed(l, text, err)
			}})
		})
	}
}

func (q *Queue) signature(env *mail.Envelope, p *part) ([]byte, error) {
	body, err := p.Open(q.ctx)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return q.deps.Signer.Sign(q.ctx, env, body)
}

// signed ends the wait for a signature. Mail that cannot be signed is deferred:
// it never goes out unsigned.
func (s *shard) signed(l *ledger, text []byte, err error) {
	waiting := l.unsigned
	l.unsigned = nil
	l.signing = signed
	if err != nil {
		l.signing = wanted
	} else if len(text) > 0 {
		l.state.Signature = text
	}
	for _, p := range waiting {
		switch {
		case s.stopping || p.led == nil:
		case err == nil:
			s.signedPart(l, p)
		case p.recall():
			s.send(s.q.keeper(p.key), msg{kind: purge, part: p})
			s.detach(p)
			o := fate.Ours(451, smtp.Status{4, 7, 5}, "the message cannot be signed at the moment", "LOCAL", err)
			s.decided(l, fate.Work{To: p.To, Outs: fate.Same(o, len(p.To)), Lane: lanes.Name(p.key)})
		}
	}
	s.advance(l)
}

func (s *shard) signedPart(l *ledger, p *part) {
	p.Header = header(l)
	s.send(s.q.keeper(p.key), msg{kind: ready, part: p})
}
