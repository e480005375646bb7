package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tenma/relay/mail"
	"tenma/relay/mail/stored"
	"tenma/relay/queue/fate"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// fakeSpool keeps entries in memory with the semantics of spool.Engine that a
// queue depends on. A crash is cut: what was not durable is gone.
type fakeSpool struct {
	mu       sync.Mutex
	entries  map[spool.ID]*spool.Entry
	parked   map[spool.ID]bool
	fed      map[spool.ID]bool // handed out by the Feed that runs
	change   chan struct{}
	health   error
	lag      time.Duration // from Settle to durable
	getLag   time.Duration // of Get
	dead     bool          // after a crash: nothing becomes durable
	settles  int
	drafts   []spool.Draft
	onSettle func(spool.Settlement)
	gets     atomic.Int64
}

func newFakeSpool() *fakeSpool {
	return &fakeSpool{entries: map[spool.ID]*spool.Entry{}, parked: map[spool.ID]bool{}, fed: map[spool.ID]bool{}, change: make(chan struct{}, 1)}
}

// crash gives the store as a new process would find it.
func (f *fakeSpool) crash() *fakeSpool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = true
	n := newFakeSpool()
	n.lag, n.onSettle = f.lag, f.onSettle
	for id, e := range f.entries {
		c := *e
		n.entries[id] = &c
		n.parked[id] = f.parked[id]
	}
	return n
}

func (f *fakeSpool) changed() {
	select {
	case f.change <- struct{}{}:
	default:
	}
}

func (f *fakeSpool) Run(ctx context.Context) error { <-ctx.Done(); return nil }

func (f *fakeSpool) Commit(_ context.Context, ds ...spool.Draft) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.commit(ds)
	return nil
}

func (f *fakeSpool) commit(ds []spool.Draft) {
	for _, d := range ds {
		if f.entries[d.ID] == nil {
			f.entries[d.ID] = &spool.Entry{ID: d.ID, Envelope: d.Envelope, State: d.State, Due: d.Due}
			f.drafts = append(f.drafts, d)
		}
	}
	f.changed()
}

func (f *fakeSpool) Stage(context.Context) (spool.StageWriter, error) {
	return nil, errors.ErrUnsupported
}

func (f *fakeSpool) Settle(s spool.Settlement, done func(error)) {
	f.mu.Lock()
	lag := f.lag
	f.mu.Unlock()
	if lag > 0 {
		time.AfterFunc(lag, func() { f.settle(s, done) })
		return
	}
	f.settle(s, done)
}

func (f *fakeSpool) settle(s spool.Settlement, done func(error)) {
	err := f.settle1(s)
	done(err)
}

func (f *fakeSpool) settle1(s spool.Settlement) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return spool.ErrClosed
	}
	if errors.Is(f.health, spool.ErrSick) {
		return f.health
	}
	e := f.entries[s.ID]
	if e == nil {
		return spool.ErrNotFound
	}
	if f.onSettle != nil {
		f.onSettle(s)
	}
	f.settles++
	f.commit(s.Drafts)
	if s.Remove {
		delete(f.entries, s.ID)
		delete(f.parked, s.ID)
		return nil
	}
	if s.State != nil {
		e.State = s.State
	}
	e.Due = s.Due
	f.parked[s.ID] = s.Park
	if s.Park {
		delete(f.fed, s.ID)
		f.changed()
	}
	return nil
}

// near is how long before its due time a parked entry comes back.
const near = 2 * time.Second

func (f *fakeSpool) Feed(ctx context.Context, take func(spool.Entry)) error {
	for {
		f.mu.Lock()
		var out []spool.Entry
		next := time.Hour * 24 * 365
		for id, e := range f.entries {
			if f.fed[id] {
				continue
			}
			if wait := time.Until(e.Due) - near; f.parked[id] && wait > 0 {
				next = min(next, wait)
				continue
			}
			f.fed[id] = true
			f.parked[id] = false
			out = append(out, *e)
		}
		f.mu.Unlock()
		slices.SortFunc(out, func(a, b spool.Entry) int { return bytes.Compare(a.ID[:], b.ID[:]) })
		for _, e := range out {
			take(e)
		}
		t := time.NewTimer(next)
		select {
		case <-t.C:
		case <-f.change:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
		t.Stop()
	}
}

func (f *fakeSpool) Unpark(ids ...spool.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range ids {
		f.parked[id] = false
	}
	f.changed()
}

func (f *fakeSpool) Get(_ context.Context, id spool.ID) (spool.Entry, error) {
	f.gets.Add(1)
	time.Sleep(f.getLag)
	f.mu.Lock()
	defer f.mu.Unlock()
	if e := f.entries[id]; e != nil {
		return *e, nil
	}
	return spool.Entry{}, spool.ErrNotFound
}

type fakeBody struct{ *bytes.Reader }

func (fakeBody) Close() error { return nil }

func (f *fakeSpool) Open(_ context.Context, id spool.ID) (spool.Body, error) {
	if _, err := f.Get(context.Background(), id); err != nil {
		return nil, err
	}
	return fakeBody{bytes.NewReader([]byte("Subject: x\r\n\r\nbody\r\n"))}, nil
}

func (f *fakeSpool) Scan(_ context.Context, after spool.ID, fn func(spool.Entry) bool) error {
	f.mu.Lock()
	var all []spool.Entry
	for id, e := range f.entries {
		if bytes.Compare(id[:], after[:]) > 0 {
			all = append(all, *e)
		}
	}
	f.mu.Unlock()
	slices.SortFunc(all, func(a, b spool.Entry) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	for _, e := range all {
		if !fn(e) {
			break
		}
	}
	return nil
}

func (f *fakeSpool) Find(context.Context, string, spool.ID, func(spool.Entry) bool) error {
	return errors.ErrUnsupported
}

func (f *fakeSpool) Health() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.health
}

func (f *fakeSpool) Stats() spool.Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	st := spool.Stats{Entries: int64(len(f.entries))}
	for id := range f.entries {
		if f.parked[id] {
			st.Parked++
		}
	}
	return st
}

func (f *fakeSpool) left() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.entries)
}

// state decodes what is stored of a message; nil: nothing.
func (f *fakeSpool) state(id spool.ID) *mail.State {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.entries[id]
	if e == nil {
		return nil
	}
	s, err := stored.DecodeState(e.State)
	if err != nil {
		panic(err)
	}
	return s
}

// fakeRouter knows domains as soon as they were looked up once, at the price of
// a wait of its own for each.
type fakeRouter struct {
	mu      sync.Mutex
	known   map[smtp.Domain]bool
	wait    map[smtp.Domain]time.Duration
	fail    map[smtp.Domain]mail.Outcome
	lane    map[smtp.Domain]mail.Lane
	kind    map[smtp.Domain]mail.Kind
	forget  bool
	lookups map[smtp.Domain]int
}

func newFakeRouter() *fakeRouter {
	return &fakeRouter{
		known: map[smtp.Domain]bool{}, wait: map[smtp.Domain]time.Duration{}, fail: map[smtp.Domain]mail.Outcome{},
		lane: map[smtp.Domain]mail.Lane{}, kind: map[smtp.Domain]mail.Kind{}, lookups: map[smtp.Domain]int{},
	}
}

func (r *fakeRouter) Route(ctx context.Context, d smtp.Domain, e *mail.Envelope) (mail.Route, *mail.Outcome) {
	r.mu.Lock()
	wait := r.wait[d]
	r.lookups[d]++
	r.mu.Unlock()
	if wait > 0 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			o := fate.Ours(451, smtp.Status{4, 4, 3}, "stopped", "DNS", nil)
			return mail.Route{}, &o
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known[d] = !r.forget
	return r.answer(d)
}

func (r *fakeRouter) answer(d smtp.Domain) (mail.Route, *mail.Outcome) {
	if o, ok := r.fail[d]; ok {
		if o.Reply.Temporary() {
			delete(r.known, d)
		}
		return mail.Route{}, &o
	}
	lane := r.lane[d]
	if lane == "" {
		lane = mail.Lane("s->" + string(d))
	}
	return mail.Route{Kind: r.kind[d], Lane: lane, Domain: d}, nil
}

func (r *fakeRouter) Cached(d smtp.Domain, e *mail.Envelope) (mail.Route, *mail.Outcome, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.known[d] {
		return mail.Route{}, nil, false
	}
	route, o := r.answer(d)
	return route, o, true
}

// fakeReturner makes one draft for each settlement that reports anything.
type fakeReturner struct {
	mu      sync.Mutex
	reports []mail.Report
	times   int // that it was asked
	fail    error
}

// told gives the reports so far.
func (f *fakeReturner) told() []mail.Report {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.reports)
}

func (f *fakeReturner) asked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.times
}

func (f *fakeReturner) Compose(_ context.Context, id spool.ID, e *mail.Envelope, _ *mail.State, rs []mail.Report, open func(context.Context) (spool.Body, error)) ([]spool.Draft, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return nil, f.fail
	}
	if e.Sender.IsNull() {
		panic("a DSN for the null sender was asked for")
	}
	b, err := open(context.Background())
	if err != nil {
		return nil, err
	}
	b.Close()
	f.reports = append(f.reports, rs...)
	f.times++
	why := "dsn"
	for _, r := range rs {
		why += fmt.Sprint(r.Recipient, r.Action)
	}
	dsn := &mail.Envelope{Recipients: []mail.Recipient{{Address: e.Sender}}, Received: time.Now(), Origin: mail.FromSelf}
	return []spool.Draft{{ID: id.Derive(why), Envelope: stored.AppendEnvelope(nil, dsn), Body: []byte("dsn")}}, nil
}

// fakeLog keeps events.
type fakeLog struct {
	mu     sync.Mutex
	events []mail.Event
}

func (f *fakeLog) Record(e *mail.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, *e)
}

func (f *fakeLog) all() []mail.Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.events)
}

func (f *fakeLog) count(k mail.EventKind) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, e := range f.events {
		if e.Kind == k {
			n++
		}
	}
	return n
}

// rig is a queue with fakes around it.
type rig struct {
	t       *testing.T
	spool   *fakeSpool
	router  *fakeRouter
	back    *fakeReturner
	log     *fakeLog
	signer  Signer
	conf    Config
	q       *Queue
	cancel  context.CancelFunc
	ended   chan error
	n       int
	wall    func() time.Time
	prepare func(*Queue) // before it runs
	// reply decides each attempt; nil: all sent.
	reply  func(ctx context.Context, a *mail.Attempt) []mail.Outcome
	remote mail.Deliver // nil: carry
	tries  atomic.Int64
}

func newRig(t *testing.T) *rig {
	return &rig{
		t: t, spool: newFakeSpool(), router: newFakeRouter(), back: &fakeReturner{}, log: &fakeLog{},
		conf: Config{Shards: 3, Jitter: -1, Retry: []time.Duration{10 * time.Minute, 20 * time.Minute, time.Hour}},
	}
}

func (r *rig) start() {
	remote := r.remote
	if remote == nil {
		remote = r.carry
	}
	r.q = New(r.conf, Deps{
		Spool: r.spool, Router: r.router, Remote: remote, Local: remote, Signer: r.signer,
		Returner: r.back, Record: r.log, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if r.wall != nil {
		r.q.wall = r.wall
	}
	if r.prepare != nil {
		r.prepare(r.q)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel, r.ended = cancel, make(chan error, 1)
	go func() { r.ended <- r.q.Run(ctx) }()
}

func (r *rig) stop() {
	r.t.Helper()
	r.cancel()
	if err := <-r.ended; err != nil {
		r.t.Errorf("Run: %v", err)
	}
}

// carry is a Deliver that asks r.reply.
func (r *rig) carry(ctx context.Context, a *mail.Attempt, next func() *mail.Attempt, done func(*mail.Attempt, []mail.Outcome)) {
	for ; a != nil; a = next() {
		r.tries.Add(1)
		outs := fate.Same(sent(), len(a.To))
		if r.reply != nil {
			outs = r.reply(ctx, a)
		}
		done(a, outs)
	}
}

func sent() mail.Outcome {
	return mail.Outcome{Reply: smtp.Reply{Code: 250, Text: "ok"}, Command: ".", Host: "mx"}
}

func later() mail.Outcome {
	return mail.Outcome{Reply: smtp.Reply{Code: 451, Status: smtp.Status{4, 7, 1}, Text: "greylisted"}, Command: "RCPT", Host: "mx"}
}

func never() mail.Outcome {
	return mail.Outcome{Reply: smtp.Reply{Code: 550, Status: smtp.Status{5, 1, 1}, Text: "unknown"}, Command: "RCPT", Host: "mx"}
}

func addr(s string) smtp.Address {
	a, err := smtp.ParseMailbox(s)
	if err != nil {
		panic(err)
	}
	return a
}

func (r *rig) envelope(to ...string) *mail.Envelope {
	e := &mail.Envelope{Sender: addr("me@own.test"), Received: time.Now().Truncate(time.Second), Prefix: []byte("Received: x\r\n")}
	for _, s := range to {
		e.Recipients = append(e.Recipients, mail.Recipient{Address: addr(s)})
	}
	return e
}

func (r *rig) id() spool.ID {
	r.n++
	var x [10]byte
	copy(x[:], fmt.Sprintf("%d", r.n))
	id := spool.NewID(time.Now(), [10]byte{})
	return id.Derive(fmt.Sprint(r.n))
}

// add commits a message.
func (r *rig) add(e *mail.Envelope) spool.ID {
	id := r.id()
	r.spool.Commit(context.Background(), spool.Draft{ID: id, Envelope: stored.AppendEnvelope(nil, e), Body: []byte("x")})
	return id
}

func (r *rig) send(to ...string) spool.ID { return r.add(r.envelope(to...)) }

// bubble runs a test in simulated time.
func bubble(t *testing.T, f func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newRig(t)) })
}

// pass lets simulated time pass, and everything that happens in it.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
