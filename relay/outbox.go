package relay

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"tenma/relay/mail"
	"tenma/relay/mail/stored"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// outbox is the door for mail that the mailbox stage sends by itself: what is
// forwarded, and automatic replies. It is intake without what is asked of
// strangers: the message becomes one entry of the spool, and a Reception in the
// mail log.
type outbox struct {
	spool  spool.Engine
	record interface{ Record(*mail.Event) }

	mu     sync.Mutex
	random io.Reader // guarded by mu
}

// outboxMemory is how long the key of a message is remembered. The delivery that
// caused it is repeated, after a crash or because another mailbox of the same
// message is full, until that message expires: three days by default, with room
// for who sets more. The mail store remembers a delivery as long.
const outboxMemory = 30 * 24 * time.Hour

// Send stores a message, e.Prefix and body. nil means that it is on stable
// storage, now or since an earlier Send with the same key. It completes e:
// Received, Size, EightBit. Errors are those of the spool, and body's own.
func (o *outbox) Send(ctx context.Context, key string, e *mail.Envelope, body io.WriterTo) error {
	now := time.Now()
	id, err := o.newID(now)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte("outbox " + key))
	d := spool.Draft{ID: id, DedupeKey: sum[:], DedupeFor: outboxMemory}
	load := parcel{ctx: ctx, spool: o.spool}
	if _, err := body.WriteTo(&load); err != nil {
		load.drop()
		return fmt.Errorf("body: %w", err)
	}
	if load.stage == nil {
		d.Body = append([]byte{}, load.buf...)
	} else if d.Staged, err = load.stage.Finish(); err != nil {
		load.drop()
		return err
	}
	e.Received = now.Truncate(time.Second)
	e.EightBit = e.EightBit || load.eight
	e.Size = int64(len(e.Prefix)) + load.size
	d.Envelope = stored.AppendEnvelope(nil, e)
	switch err := o.spool.Commit(ctx, d); {
	case errors.Is(err, spool.ErrDuplicate):
		load.drop()
		return nil
	case errors.Is(err, spool.ErrFull):
		load.drop()
		return err
	case err != nil: // it may be on its way to the disk: a restart sweeps what is not
		return err
	}
	o.record.Record(&mail.Event{
		Kind: mail.EventReception, Time: now, ID: id, Envelope: e, Recipient: -1,
		Outcome: mail.Outcome{Reply: smtp.Reply{Code: 250, Status: smtp.Status{2, 0, 0}, Text: "OK"}},
	})
	return nil
}

func (o *outbox) newID(now time.Time) (spool.ID, error) {
	var b [10]byte
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, err := io.ReadFull(o.random, b[:]); err != nil {
		return spool.ID{}, fmt.Errorf("id: random source: %w", err)
	}
	return spool.NewID(now, b), nil
}

// parcel takes a body: in memory, and from spool.MaxInline on into the spool.
type parcel struct {
	ctx   context.Context
	spool spool.Engine
	buf   []byte
	stage spool.StageWriter
	size  int64
	eight bool
}

func (p *parcel) Write(b []byte) (int, error) {
	p.size += int64(len(b))
	p.eight = p.eight || slices.ContainsFunc(b, func(c byte) bool { return c >= 0x80 })
	if p.stage == nil {
		if len(p.buf)+len(b) <= spool.MaxInline {
			p.buf = append(p.buf, b...)
			return len(b), nil
		}
		var err error
		if p.stage, err = p.spool.Stage(p.ctx); err != nil {
			p.stage = nil
			return 0, err
		}
		if _, err := p.stage.Write(p.buf); err != nil {
			return 0, err
		}
		p.buf = nil
	}
	return p.stage.Write(b)
}

// drop forgets what was put into the spool.
func (p *parcel) drop() {
	if p.stage != nil {
		p.stage.Discard()
	}
}
