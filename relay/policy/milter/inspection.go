package milter

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tenma/metrics"
	"tenma/relay/mail"
)

// Adviser asks mail filters. Its methods may be called from any goroutine. It has no
// goroutine of its own; Close ends the connections that it keeps.
type Adviser struct {
	deps  Deps
	state atomic.Pointer[state]
	apply sync.Mutex
}

// state is a configuration with the filters that it names.
type state struct {
	hostname string
	servers  []*server
}

// New makes an Adviser. It connects to nothing.
func New(c Config, d Deps) *Adviser {
	if d.Dial == nil {
		d.Dial = (&net.Dialer{}).DialContext
	}
	if d.Metrics == nil {
		d.Metrics = metrics.NewMilter(nil)
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	a := &Adviser{deps: d}
	a.state.Store(&state{})
	a.Apply(c)
	return a
}

// Apply puts another configuration in force, for messages that begin later. A filter
// that has not changed keeps its connections.
func (a *Adviser) Apply(c Config) {
	a.apply.Lock()
	defer a.apply.Unlock()
	old := a.state.Load()
	now := &state{hostname: c.Hostname}
	kept := map[*server]bool{}
	for _, f := range c.Filters {
		s := newServer(f, a.deps.Dial)
		for _, o := range old.servers {
			if !kept[o] && same(o.Filter, s.Filter) {
				s, kept[o] = o, true
				break
			}
		}
		now.servers = append(now.servers, s)
		a.deps.Metrics.Show(f.Name)
	}
	a.state.Store(now)
	for _, o := range old.servers {
		if !kept[o] {
			o.close()
		}
	}
}

func same(a, b Filter) bool {
	equal := slices.Equal(a.Listeners, b.Listeners)
	a.Listeners, b.Listeners = nil, nil
	return equal && fmt.Sprint(a) == fmt.Sprint(b)
}

// Close ends the connections that are kept, and those in use when their talks end.
func (a *Adviser) Close() {
	for _, s := range a.state.Load().servers {
		s.close()
	}
}

// nameTime bounds the time for finding the name of a client.
const nameTime = 5 * time.Second

// Message is what is known of a message when filters are asked. What it points to must
// hold until the verdict is there.
type Message struct {
	ID       string         // what the message will be called
	Envelope *mail.Envelope // its sender and recipients are changed where filters want it
	Ahead    []byte         // fields that others put in front; filters see them and cannot change them
	Section  []byte         // its own header section, each line ended by CRLF
}

// begin collects the filters for a message and what they are told, nil where there is
// none.
func (a *Adviser) begin(ctx context.Context, msg Message) (*judgement, []*server) {
	st, e := a.state.Load(), msg.Envelope
	var asked []*server
	for _, s := range st.servers {
		if s.asksAbout(e) {
			asked = append(asked, s)
		}
	}
	if asked == nil {
		return nil, nil
	}
	m := &message{id: msg.ID, hostname: st.hostname, envelope: e, ahead: msg.Ahead, section: msg.Section}
	if addr := e.Client.Addr(); a.deps.Names != nil && addr.IsValid() && e.Account == "" {
		ctx, cancel := context.WithTimeout(ctx, nameTime)
		defer cancel()
		m.client = a.deps.Names.Name(ctx, addr.Unmap().WithZone(""))
	}
	return &judgement{a: a, m: m}, asked
}

// Asks reports whether any filter wants to see a message.
func (a *Adviser) Asks(e *mail.Envelope) bool {
	return slices.ContainsFunc(a.state.Load().servers, func(s *server) bool { return s.asksAbout(e) })
}

// Inspect asks about a message that is in memory: one filter after the other, so that
// each sees what those before it have changed, until one refuses. body begins behind the
// empty line.
func (a *Adviser) Inspect(ctx context.Context, msg Message, body []byte) Verdict {
	j, asked := a.begin(ctx, msg)
	for _, s := range asked {
		if s.MaxSize > 0 && int64(len(msg.Section)+len(body)) > s.MaxSize {
			a.deps.Metrics.Count(s.Name, "skipped")
			continue
		}
		start := time.Now()
		o, err := s.whole(ctx, j.m, body)
		a.deps.Metrics.Waited(s.Name, time.Since(start).Seconds())
		if j.hear(s, o, err); j.verdict.final() {
			break
		}
	}
	if j == nil {
		return Verdict{}
	}
	return j.end()
}

// whole is one talk from beginning to end. A kept connection may have been closed by
// the filter in the meantime: then the talk is held once more on a new one.
func (s *server) whole(ctx context.Context, m *message, body []byte) (outcome, error) {
	if err := s.enter(ctx, m.envelope); err != nil {
		return outcome{}, err
	}
	defer s.leave(m.envelope)
	for fresh := false; ; fresh = true {
		t, err := s.open(ctx, m, fresh)
		if err != nil {
			return outcome{}, err
		}
		t.body(body)
		o, err := t.end(m)
		if err == nil || !t.c.used || t.heard || ctx.Err() != nil {
			return o, err
		}
	}
}

// Inspection asks about a message that is too long for memory, as it arrives. It
// belongs to one goroutine. All filters see it at the same time, so none sees what
// another changes.
type Inspection struct {
	*judgement
	talks []*pending
}

// pending is a talk under way: t is nil once it has come to nothing.
type pending struct {
	s      *server
	t      *talk
	err    error
	waited time.Duration
}

// Begin begins to ask about a message of which the header section is there; nil where
// no filter wants to see it. End or Abort must follow.
func (a *Adviser) Begin(ctx context.Context, msg Message) *Inspection {
	j, asked := a.begin(ctx, msg)
	if j == nil {
		return nil
	}
	j.size = int64(len(msg.Section))
	i := &Inspection{judgement: j}
	for _, s := range asked {
		p := &pending{s: s}
		i.talks = append(i.talks, p)
		p.timed(func() {
			if p.err = s.enter(ctx, msg.Envelope); p.err != nil {
				return
			}
			if p.t, p.err = s.open(ctx, j.m, true); p.err != nil {
				s.leave(msg.Envelope)
			}
		})
	}
	return i
}

// timed does something that may wait for the filter.
func (p *pending) timed(do func()) {
	start := time.Now()
	do()
	p.waited += time.Since(start)
}

// Write passes on the next part of the body.
func (i *Inspection) Write(b []byte) {
	i.size += int64(len(b))
	for _, p := range i.talks {
		if p.t == nil {
			continue
		}
		if p.s.MaxSize > 0 && i.size > p.s.MaxSize {
			p.close(i.m.envelope)
			i.a.deps.Metrics.Count(p.s.Name, "skipped")
			continue
		}
		p.timed(func() { p.t.body(b) })
	}
}

// close ends a talk before its time.
func (p *pending) close(e *mail.Envelope) {
	if p.t != nil {
		p.t.abort()
		p.s.leave(e)
		p.t = nil
	}
}

// End gives the verdict. Sender and recipients are changed as by Inspect.
func (i *Inspection) End() Verdict {
	for _, p := range i.talks {
		switch {
		case p.t == nil && p.err == nil: // skipped
		case i.verdict.final():
			p.close(i.m.envelope)
		default:
			i.end(p)
		}
	}
	return i.judgement.end()
}

// end ends one talk as it should.
func (i *Inspection) end(p *pending) {
	var o outcome
	if p.t != nil {
		p.timed(func() { o, p.err = p.t.end(i.m) })
		p.s.leave(i.m.envelope)
		p.t = nil
	}
	i.a.deps.Metrics.Waited(p.s.Name, p.waited.Seconds())
	i.hear(p.s, o, p.err)
}

// Abort ends all talks: the message has not come to its end.
func (i *Inspection) Abort() {
	for _, p := range i.talks {
		p.close(i.m.envelope)
	}
}

// Probe connects to each filter and negotiates. It gives one error per filter that does
// not answer, in the order of the configuration, nil for one that does.
func (a *Adviser) Probe(ctx context.Context) map[string]error {
	out := map[string]error{}
	for _, s := range a.state.Load().servers {
		c, err := s.get(ctx, true)
		if err == nil {
			s.quit(c)
		}
		out[s.Name] = err
	}
	return out
}
