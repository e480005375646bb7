package blob

import (
	"context"
	"errors"
	"io"

	"tenma/relay/mailbox/store/ledger"
	"tenma/relay/wire/mime"
)

// ErrSize is a source that gave more or fewer octets than it promised, or more than
// can be kept.
var ErrSize = errors.New("mailbox: the message has another size than was said")

// Body is one that was received and belongs to no message yet. Close must be
// called when its messages are durable, or nothing will come of them.
type Body struct {
	ID   ledger.BlobID
	Size int64  // as it is kept
	Head []byte // the first ChunkSize octets, or all

	s      *Store
	seen   *mime.Builder // of a staged one
	staged bool
	closed bool
}

// Structure is that of the body; nil if only reading it again could tell. It is to
// be called once.
func (b *Body) Structure() *mime.Part {
	if b.seen == nil {
		b.seen = mime.NewBuilder()
		_, _ = b.seen.Write(b.Head)
	}
	tree, _ := b.seen.Tree()
	return tree
}

// Receive takes the size octets that source writes; they are kept with CRLF at the
// end of each line, and of the last. Of a large body all but the end
// is in the log when it returns, none of it need be durable before the change
// that needs it is.
func (s *Store) Receive(ctx context.Context, size int64, source func(io.Writer) error) (*Body, error) {
	body := &Body{ID: s.newID(), s: s}
	w := &writer{ctx: ctx, body: body, buf: make([]byte, 0, min(size, ChunkSize))}
	in := &lines{w: w, said: size}
	err := source(in)
	if err == nil {
		err = in.end()
	}
	if err == nil {
		err = w.finish()
	}
	if err != nil {
		if w.last != nil {
			// It is the committer's; the body must stay pinned until it is done.
			err = errors.Join(err, s.db.Wait(context.WithoutCancel(ctx), w.last))
		}
		body.Close()
		return nil, err
	}
	return body, nil
}

// Write puts the body into the change that adds its first messages.
func (b *Body) Write(batch *ledger.Batch) {
	if !b.staged {
		batch.Set(ledger.BlobKey(b.ID, 0), b.Head)
	}
}

// Close ends the protection of a body that has no message. A change with the
// body's references must have been published before.
func (b *Body) Close() {
	if b.staged && !b.closed {
		b.s.unpin(b.ID)
		b.s.Poke()
	}
	b.closed = true
}

type writer struct {
	ctx  context.Context
	body *Body
	buf  []byte
	n    uint32         // chunks written
	last *ledger.Change // the chunk on its way
}

func (w *writer) write(p []byte) error {
	if w.body.Size += int64(len(p)); w.body.Size > maxBody {
		return ErrSize
	}
	for rest := p; len(rest) > 0; {
		if len(w.buf) == ChunkSize {
			if err := w.flush(); err != nil {
				return err
			}
		}
		k := min(len(rest), ChunkSize-len(w.buf))
		w.buf = append(w.buf, rest[:k]...)
		rest = rest[k:]
	}
	return nil
}

// flush sends a chunk to the committer and waits for the one before.
func (w *writer) flush() error {
	b := w.body
	batch := b.s.db.NewBatch()
	if w.n == 0 {
		b.staged = true
		b.s.pin(b.ID)
		batch.Set(ledger.CondemnedKey(b.ID), nil)
		b.Head = append([]byte(nil), w.buf...)
		b.seen = mime.NewBuilder()
	}
	_, _ = b.seen.Write(w.buf)
	batch.Set(ledger.BlobKey(b.ID, w.n), w.buf)
	before := w.last
	w.last = &ledger.Change{Batch: batch, NoSync: true}
	b.s.db.Submit(w.last)
	w.n++
	w.buf = w.buf[:0]
	if before == nil {
		return nil
	}
	return b.s.db.Wait(w.ctx, before)
}

func (w *writer) finish() error {
	if w.n == 0 {
		w.body.Head = w.buf
		return nil
	}
	if len(w.buf) > 0 {
		if err := w.flush(); err != nil {
			return err
		}
	}
	return w.body.s.db.Wait(w.ctx, w.last)
}
