package bounce

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"tenma/metrics"
	"tenma/relay/mail"
	"tenma/relay/mail/stored"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// Composer makes DSNs. It may be used from any goroutine.
//
// It keeps two promises of package relay. Promise 7: Compose gives nothing for
// a message with the null sender, and what it composes has the null sender. A
// DSN that cannot be delivered is never answered, so mail systems do not write
// to each other for ever. Promise 4: a draft goes into the settlement that
// causes it, under an id derived from the original's and from what it reports.
// A settlement that a crash undid is made again with a DSN of the same id, and
// the spool leaves an id alone that it has.
type Composer struct {
	cfg   Config
	deps  Deps
	limit limiter
}

// New makes a Composer.
func New(cfg Config, deps Deps) *Composer {
	if cfg.From.IsNull() {
		cfg.From = smtp.Address{Local: "MAILER-DAEMON", Domain: smtp.Domain(cfg.Hostname)}
	}
	if cfg.ReturnFull <= 0 {
		cfg.ReturnFull = defaultReturnFull
	}
	if cfg.ReturnHeaders <= 0 {
		cfg.ReturnHeaders = defaultReturnHeaders
	}
	if deps.Metrics == nil {
		deps.Metrics = metrics.NewBounce(nil)
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	c := &Composer{cfg: cfg, deps: deps}
	c.Apply(cfg)
	return c
}

// Apply puts another PerSender in force; the rest of a Config stays as it was.
func (c *Composer) Apply(cfg Config) { c.limit.most.Store(int64(cfg.PerSender)) }

// Open opens the body of the message that a DSN is about.
type Open = func(context.Context) (spool.Body, error)

// Compose gives the DSNs that reports on message id call for: at most one each
// for failures, delays and successes, since each says another thing. None is
// due for a null sender, for recipients with NOTIFY=NEVER or without that
// action in NOTIFY, and none for success where the next hop took over the duty.
// A sender who had Config.PerSender within an hour gets no more in it.
//
// An original that cannot be read is no error: a DSN without it is better than
// none. An error means that a large DSN could not be put into the spool.
func (c *Composer) Compose(ctx context.Context, id spool.ID, e *mail.Envelope, _ *mail.State, reports []mail.Report, open Open) ([]spool.Draft, error) {
	if e.Sender.IsNull() { // promise 7
		return nil, nil
	}
	// Who stops the relay wants no new work begun; this is part of work under way.
	ctx = context.WithoutCancel(ctx)
	var drafts []spool.Draft
	for _, topic := range []topic{failure, delay, success} {
		about := due(e, reports, topic)
		if len(about) == 0 {
			continue
		}
		now := time.Now().UTC()
		quiet, ok := c.limit.take(e, now)
		if !ok {
			c.deps.Metrics.Limited.Inc()
			continue
		}
		if !quiet.IsZero() {
			c.deps.Log.Warn("a sender gets no more DSNs for now", "sender", e.Sender.String(), "until", quiet, "id", id)
		}
		n := &notice{Composer: c, id: id.Derive(derivation(topic, about)), original: id, env: e, topic: topic, reports: about, now: now, quiet: quiet}
		d, err := n.draft(ctx, open)
		if err != nil {
			return nil, fmt.Errorf("bounce: DSN for %s: %w", id, err)
		}
		drafts = append(drafts, d)
		c.deps.Metrics.DSNs.WithLabelValues(topic.String()).Inc()
	}
	return drafts, nil
}

// topic is what a DSN is about; one DSN never mixes them.
type topic uint8

const (
	failure topic = iota
	delay
	success // delivered, relayed, expanded
)

func (t topic) String() string { return [...]string{"failed", "delayed", "delivered"}[t] }

// topicOf maps the actions of RFC 3464 section 2.3.3.
func topicOf(a mail.Action) topic {
	switch a {
	case mail.ActionFailed:
		return failure
	case mail.ActionDelayed:
		return delay
	}
	return success
}

// due selects the reports on a topic that their recipients' NOTIFY lets the
// sender hear of (RFC 3461 section 4.1), ordered by recipient.
func due(e *mail.Envelope, reports []mail.Report, t topic) []mail.Report {
	var about []mail.Report
	for i := range reports {
		r := reports[i]
		if r.Recipient < 0 || r.Recipient >= len(e.Recipients) || topicOf(r.Action) != t {
			continue
		}
		notify := e.Recipients[r.Recipient].Notify
		wanted := t == failure && notify.OnFailure() || t == delay && notify.OnDelay() || t == success && notify.OnSuccess()
		if notify&mail.NotifyNever != 0 || !wanted {
			continue
		}
		if r.Action == mail.ActionRelayed && r.Outcome.DSN { // RFC 3461 section 5.2.2: theirs to tell
			continue
		}
		about = append(about, r)
	}
	slices.SortStableFunc(about, func(a, b mail.Report) int { return a.Recipient - b.Recipient })
	return slices.CompactFunc(about, func(a, b mail.Report) bool { return a.Recipient == b.Recipient })
}

// derivation names a DSN within the life of its original: a recipient fails,
// is delayed and succeeds at most once (promise 4).
func derivation(t topic, about []mail.Report) string {
	b := []byte("dsn " + t.String())
	for i := range about {
		b = append(b, ' ')
		b = strconv.AppendInt(b, int64(about[i].Recipient), 10)
	}
	return string(b)
}

// notice is one DSN in the making.
type notice struct {
	*Composer
	id       spool.ID // its own
	original spool.ID
	env      *mail.Envelope // the original's
	topic    topic
	reports  []mail.Report
	now      time.Time
	quiet    time.Time // it is the last to this sender before then; zero: it is not
}

// draft makes the DSN an entry of the spool.
func (n *notice) draft(ctx context.Context, open Open) (spool.Draft, error) {
	body := n.message(n.read(ctx, open))
	envelope := n.envelope(body)
	d := spool.Draft{ID: n.id, Envelope: stored.AppendEnvelope(nil, envelope)}
	if len(body) <= spool.MaxInline {
		d.Body = body
		return d, nil
	}
	staged, err := n.stage(ctx, body)
	if err != nil { // room is short: the shortest form, if that is short enough
		n.deps.Log.Warn("DSN cannot return the original", "id", n.original, "error", err)
		if d.Body = n.message(nil); len(d.Body) > spool.MaxInline {
			return spool.Draft{}, err
		}
		d.Envelope = stored.AppendEnvelope(nil, n.envelope(d.Body))
		return d, nil
	}
	d.Staged = staged
	return d, nil
}

func (n *notice) stage(ctx context.Context, body []byte) (*spool.Staged, error) {
	if n.deps.Stager == nil {
		return nil, spool.ErrFull
	}
	w, err := n.deps.Stager.Stage(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(body); err != nil {
		w.Discard()
		return nil, err
	}
	return w.Finish()
}

// envelope addresses the DSN: from nobody, to the original's sender, and not
// to be reported on (RFC 3461 section 5.2.1 has the null sender, which makes
// NOTIFY moot for us but not for a next hop that is careless).
func (n *notice) envelope(body []byte) *mail.Envelope {
	return &mail.Envelope{
		Recipients: []mail.Recipient{{Address: n.env.Sender, Notify: mail.NotifyNever}},
		Received:   n.now.Truncate(time.Second),
		Size:       int64(len(body)),
		SMTPUTF8:   n.global(),
		EightBit:   !isASCII(body),
		LongLines:  !shortLines(body),
		// RFC 8689 section 5: as well protected as what it is about.
		RequireTLS: n.env.RequireTLS,
		Tenant:     n.env.Tenant,
		Origin:     mail.FromSelf,
		From:       n.from(),
		Subject:    n.subject(),
		MsgID:      n.messageID(),
	}
}

// global reports whether the DSN needs SMTPUTF8: only its own recipient's
// address can demand that.
func (n *notice) global() bool { return n.env.Sender.NeedsUTF8() }

// read gives what is returned of the original, or nil.
func (n *notice) read(ctx context.Context, open Open) *returned {
	if open == nil {
		return nil
	}
	body, err := open(ctx)
	if err != nil {
		n.deps.Log.Warn("DSN goes without the original", "id", n.original, "error", err)
		return nil
	}
	defer body.Close()
	// RFC 3461 section 4.3: RET is about failures. RFC 8689 section 5: under
	// REQUIRETLS only the header is returned.
	// Nobody vouches for the sender of a stranger's mail: content that may be meant
	// for somebody else's eyes does not go there through us.
	full := n.env.Ret == mail.RetFull && vouched(n.env) && n.topic == failure && !n.env.RequireTLS && int64(len(n.env.Prefix))+body.Size() <= n.cfg.ReturnFull
	limit := n.cfg.ReturnHeaders
	if full {
		limit = n.cfg.ReturnFull
	}
	text := slices.Clone(n.env.Prefix)
	rest, err := io.ReadAll(io.LimitReader(body, max(0, limit-int64(len(text)))))
	if err != nil {
		n.deps.Log.Warn("DSN goes without the original", "id", n.original, "error", err)
		return nil
	}
	text = append(text, rest...)
	if full && bytes.IndexByte(text, 0) < 0 { // no transfer encoding of message/rfc822 has room for NUL
		return &returned{text: text, full: true, utf8: n.env.SMTPUTF8}
	}
	return &returned{text: headerOf(text, int(n.cfg.ReturnHeaders)), utf8: n.env.SMTPUTF8}
}
