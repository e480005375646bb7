package queue

import (
	"context"
	"errors"
	"slices"
	"time"

	"tenma/relay/queue/lanes"

	"tenma/relay/mail"
	"tenma/relay/mail/stored"
	"tenma/relay/queue/fate"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

func isGone(err error) bool    { return errors.Is(err, spool.ErrNotFound) }
func isDamaged(err error) bool { return errors.Is(err, stored.ErrEncoding) }

// finished takes the outcomes of an attempt: untried recipients go back to the
// front of their lane, the others are decided.
func (s *shard) finished(p *part, outs []mail.Outcome) {
	l, ok := s.detach(p)
	if !ok {
		s.q.work.Done()
		return
	}
	l.holds++
	w := fate.Work{To: p.To, Outs: outs, Lane: lanes.Name(p.key), Local: p.Route.Kind == mail.Local || p.Route.LMTP}
	if slices.ContainsFunc(outs, func(o mail.Outcome) bool { return o.Untried }) {
		w = s.setUntriedApart(l, p, w)
	}
	if len(w.To) > 0 {
		s.decided(l, w)
	}
	// A settlement may begin here even so, of what is owed, and must find the count
	// above zero: Run may be waiting for that zero already.
	s.advance(l)
	if !l.settling && len(l.work) == 0 {
		s.release(l)
	}
}

// setUntriedApart queues the untried recipients of w again and gives the rest.
func (s *shard) setUntriedApart(l *ledger, p *part, w fate.Work) fate.Work {
	rest := fate.Work{Lane: w.Lane, Local: w.Local}
	var again []int
	for i, r := range w.To {
		o := w.Outs[i]
		if o.Untried && p.untried+1 < fate.MaxUntried {
			again = append(again, r)
			s.q.metrics.Untried.Inc()
			continue
		}
		if o.Untried { // often enough: it counts, as a deferral whatever reply it bears
			o.Untried = false
			if !o.Reply.Temporary() {
				o.Reply = smtp.Reply{Code: 451, Status: smtp.Status{4, 4, 2}, Text: "the connection ended before the message had its turn"}
			}
		}
		rest.To, rest.Outs = append(rest.To, r), append(rest.Outs, o)
	}
	if len(again) == 0 || s.stopping || l.exclusive() {
		return rest // what is not queued again stays as the spool has it
	}
	next := &part{
		home: s, led: l, key: p.key, class: p.class, untried: p.untried + 1, front: true, patience: p.patience,
		Attempt: mail.Attempt{
			ID: p.ID, Number: p.Number, Envelope: p.Envelope, To: again,
			Route: p.Route, Queued: p.Queued, Header: p.Header, Open: p.Open,
		},
	}
	s.attach(l, next)
	s.send(s.q.keeper(next.key), msg{kind: offered, part: next})
	return rest
}

// decided enters outcomes for settlement; advance must follow.
func (s *shard) decided(l *ledger, w fate.Work) {
	for _, i := range w.To {
		l.out[i] = true
	}
	l.work = append(l.work, w)
}

// settle turns all that is decided into one settlement: verdicts, DSNs, events,
// then the spool.
func (s *shard) settle(l *ledger) {
	s.beginSettlement(l)
	for _, w := range l.work {
		fate.Diagnose(s.q.deps.Classify, w.Outs)
	}
	// One place in the jitter for all: recipients that were deferred together
	// stay together.
	vs := fate.JudgeAll(s.verdict[:0], s.rules(), l.env, &l.state, l.work, s.now, 2*s.rand.Float64()-1)
	vs = fate.Along(vs, s.rules(), l.env, &l.state)
	s.verdict, l.work = vs, l.work[:0]
	reports := l.owed.Gather(s.rules(), l.env, vs, len(l.parts) > 0, s.now)
	if len(reports) == 0 || s.q.deps.Returner == nil {
		s.commit(l, vs, nil)
		return
	}
	s.compose(l, slices.Clone(vs), reports)
}

// compose has the DSNs made, which may read the message, elsewhere.
func (s *shard) compose(l *ledger, vs []fate.Verdict, reports []mail.Report) {
	q, id, env := s.q, l.id, l.env
	state := mail.State{Recipients: slices.Clone(l.state.Recipients), Signature: l.state.Signature, Held: l.state.Held}
	for _, v := range vs {
		state.Recipients[v.To] = v.State
	}
	q.notes.Do(func() {
		ctx := context.WithoutCancel(q.ctx) // a stop waits for it
		drafts, err := q.deps.Returner.Compose(ctx, id, env, &state, reports, func(ctx context.Context) (spool.Body, error) {
			return q.deps.Spool.Open(ctx, id)
		})
		s.box.Post(msg{kind: perform, do: func() {
			if err != nil {
				q.log.Error("a DSN could not be composed; what needs it is deferred", "id", id.String(), "err", err)
				fate.WithoutDSN(s.rules(), vs, s.now)
				l.owed.Return(reports, vs, s.now)
				drafts = nil
			}
			s.commit(l, vs, drafts)
		}})
	})
}

// commit applies verdicts to the state, records what happened, and settles.
// The order is promise 5: no settlement is handed in before its events.
func (s *shard) commit(l *ledger, vs []fate.Verdict, drafts []spool.Draft) {
	for i := range vs {
		v := &vs[i]
		l.state.Recipients[v.To] = v.State
		l.out[v.To] = v.Aside && l.out[v.To]
		s.record(l, v)
	}
	l.owed.Clear(&l.state)
	l.batch = spool.Settlement{ID: l.id, Drafts: drafts}
	l.parked = false
	if s.remains(l) {
		l.batch.State = stored.AppendState(nil, &l.state)
		l.batch.Due, l.batch.Park = s.wanted(l)
		l.parked = l.batch.Park
	} else {
		l.batch.Remove = true
	}
	s.handIn(l)
}

func (s *shard) handIn(l *ledger) {
	s.q.deps.Spool.Settle(l.batch, func(err error) {
		s.box.Post(msg{kind: settled, led: l, err: err})
	})
}

// remains reports that a recipient has no final fate, or its sender is to be told.
func (s *shard) remains(l *ledger) bool {
	return slices.ContainsFunc(l.state.Recipients, func(r mail.RecipientState) bool { return !r.Fate.Final() || r.Owed })
}

// wanted says when the entry is to be looked at again, zero for at once, and
// whether it can leave memory until then.
func (s *shard) wanted(l *ledger) (due time.Time, park bool) {
	if l.state.Held {
		return time.Time{}, false
	}
	for i := range l.state.Recipients {
		r := &l.state.Recipients[i]
		switch {
		case r.Fate.Final():
		case l.out[i] || !r.Due.After(s.now):
			return time.Time{}, false
		case due.IsZero() || r.Due.Before(due):
			due = r.Due
		}
	}
	return due, due.Sub(s.now) > s.conf.Horizon
}

// record tells the log and the counters.
func (s *shard) record(l *ledger, v *fate.Verdict) {
	if v.Event != 0 {
		s.q.metrics.Decided(v.State.Fate.String(), fate.Class(l.env.Priority), s.now.Sub(l.env.Received))
	}
	if s.q.deps.Record == nil {
		return
	}
	e := &mail.Event{
		Kind: v.Event, Time: s.now, ID: l.id, Envelope: l.env, Recipient: v.To,
		Attempts: int(v.State.Attempts), Lane: v.Lane, Outcome: *v.Outcome, InQueue: s.now.Sub(l.env.Received),
	}
	if v.Event != 0 {
		s.q.deps.Record.Record(e)
	}
	if v.Delayed {
		d := *e
		d.Kind = mail.EventDelayed
		s.q.deps.Record.Record(&d)
	}
}

// settled is the word of the spool. A settlement that failed is handed in again
// until it works or the queue stops: until then nothing of the message moves.
func (s *shard) settled(l *ledger, err error) {
	// The next settlement of the ledger may begin below, and must find the
	// count above zero: Run may be waiting for that zero already.
	s.q.work.Add(1)
	defer s.q.work.Done()
	switch {
	case err == nil:
		s.q.metrics.Settlements.WithLabelValues("ok").Inc()
	case isGone(err):
		s.q.log.Warn("a settled entry was gone", "id", l.id.String())
		l.batch.Remove = true
	default:
		s.q.metrics.Settlements.WithLabelValues("error").Inc()
		if errors.Is(err, spool.ErrSick) {
			s.q.sick.Store(true)
		}
		if s.stopping {
			s.q.log.Error("a settlement was lost; its attempts will be repeated", "id", l.id.String(), "err", err)
			s.giveUp(l)
			return
		}
		if len(s.redo) == 0 {
			s.redoAt = s.now.Add(sickEvery)
			s.q.log.Error("the spool does not settle; trying again", "id", l.id.String(), "err", err)
		}
		s.redo = append(s.redo, l)
		return
	}
	gone := l.batch.Remove
	s.endSettlement(l, err)
	if gone {
		s.recallAll(l)
		if len(l.parts) == 0 {
			s.unwait(l.id)
			l.work = nil
			s.release(l)
		}
	} else if !l.parked {
		s.file(l, ask{}, false)
		if !l.owed.Until.IsZero() {
			s.wait(l.id, l.owed.Until, "")
		}
	} else {
		s.unwait(l.id)
	}
	if gone && len(l.parts) == 0 {
		s.close(l)
		return
	}
	s.advance(l)
}

func (s *shard) settleAgain() {
	all := s.redo
	s.redo = nil
	for _, l := range all {
		s.handIn(l)
	}
}

// giveUp ends a settlement that will not succeed any more.
func (s *shard) giveUp(l *ledger) {
	s.endSettlement(l, ErrClosed)
	l.work = nil
	s.release(l)
}

// beginSettlement takes over what Queue.work holds for the outcomes, so that
// Run waits for their settlement.
func (s *shard) beginSettlement(l *ledger) {
	l.settling = true
	s.q.work.Add(1)
	l.releasing, l.holds = l.holds+1, 0
}

func (s *shard) endSettlement(l *ledger, err error) {
	l.settling = false
	l.batch = spool.Settlement{}
	if l.after != nil {
		l.after(err)
		l.after = nil
	}
	for ; l.releasing > 0; l.releasing-- {
		s.q.work.Done()
	}
	if len(l.work) == 0 {
		s.release(l)
	}
}

// release frees what Queue.work holds for outcomes that need no settlement.
func (s *shard) release(l *ledger) {
	for ; l.holds > 0; l.holds-- {
		s.q.work.Done()
	}
}

// close ends a ledger whose entry is gone.
func (s *shard) close(l *ledger) {
	for _, o := range l.ops {
		o.done(spool.ErrNotFound)
	}
	l.ops = nil
	if s.ledgers[l.id] == l {
		delete(s.ledgers, l.id)
	}
}
