package pebblespool

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"tenma/spool"
	"tenma/spool/pebblespool/layout"
)

// stagedSize is the size of a finished staged body.
func (g *group) stagedSize(key spool.ID) (int64, bool) {
	k := layout.Key(layout.KindStaged, key)
	v := g.get(k[:])
	if len(v) != layout.StagedLen {
		return 0, false
	}
	size := int64(binary.BigEndian.Uint64(v))
	return size, size > 0
}

// sweepStaged deletes what no entry came to own.
func (s *Spool) sweepStaged(b *pebble.Batch) error {
	it, err := s.iter([]byte{layout.KindStaged}, []byte{layout.KindStaged + 1})
	if err != nil {
		return err
	}
	defer it.Close()
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		k := it.Key()
		body := append([]byte{layout.KindBody}, k[1:]...)
		if err := errors.Join(b.DeleteRange(body, layout.Next(body), nil), b.Delete(k, nil)); err != nil {
			return err
		}
		n++
	}
	if n > 0 {
		s.log.Info("swept bodies that belong to no entry", "bodies", n)
	}
	return it.Error()
}

// Stage begins a large body. Its layout.Chunks are written as they come, by a
// goroutine of their own and without syncing each, so that they hold up no
// group; Finish syncs. The writer is for one goroutine.
func (s *Spool) Stage(ctx context.Context) (spool.StageWriter, error) {
	if err := s.free.Err(); err != nil {
		s.m.Refused.WithLabelValues("full").Inc()
		return nil, err
	}
	s.mu.Lock()
	err := s.refusal()
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	w := &stageWriter{s: s, ctx: ctx, buf: make([]byte, 0, layout.ChunkSize)}
	// Ids begin with a time; none of before the year 10000 begins with 0xffff.
	binary.BigEndian.PutUint64(w.key[:], 0xffff<<48|s.run)
	binary.BigEndian.PutUint64(w.key[8:], s.staged.Add(1))
	return w, nil
}

var errStageEnded = errors.New("pebblespool: staged body was finished or discarded")

type stageWriter struct {
	s     *Spool
	ctx   context.Context
	key   spool.ID
	buf   []byte
	size  int64 // written to the stager
	err   error
	ended bool // finished or discarded
	gone  bool // discarded
}

func (w *stageWriter) Write(p []byte) (n int, err error) {
	if w.ended {
		return 0, errStageEnded
	}
	for len(p) > 0 && w.err == nil {
		if len(w.buf) == layout.ChunkSize {
			if w.err = w.flush(); w.err != nil {
				break
			}
		}
		k := copy(w.buf[len(w.buf):layout.ChunkSize], p)
		w.buf, p, n = w.buf[:len(w.buf)+k], p[k:], n+k
	}
	return n, w.err
}

// flush hands the full chunk to the stager and waits until it is written.
func (w *stageWriter) flush() error {
	if err := w.s.free.Err(); err != nil {
		return err
	}
	job := stageWrite{key: w.key, n: int(w.size / layout.ChunkSize), data: w.buf, done: make(chan error, 1)}
	select {
	case w.s.staging <- job:
	case <-w.ctx.Done():
		return w.ctx.Err()
	case <-w.s.fence.Sick():
		return w.s.fence.Err()
	case <-w.s.ended:
		return spool.ErrClosed
	}
	w.size += int64(len(w.buf))
	select {
	case err := <-job.done:
		w.buf = w.buf[:0]
		return err
	case <-w.s.fence.Sick():
		return w.s.fence.Err()
	}
}

func (w *stageWriter) Finish() (*spool.Staged, error) {
	if w.ended {
		return nil, errStageEnded
	}
	if w.err != nil {
		return nil, w.err
	}
	if w.size+int64(len(w.buf)) == 0 {
		return nil, errors.New("pebblespool: empty staged body")
	}
	r := &stageEnd{waiter: newWaiter(), key: w.key, size: w.size, data: w.buf}
	w.s.submit(r)
	if w.err = r.wait(w.ctx, w.s.fence); w.err != nil {
		return nil, w.err
	}
	w.ended, w.size, w.buf = true, w.size+int64(len(w.buf)), nil
	return &spool.Staged{Key: w.key, Size: w.size}, nil
}

func (w *stageWriter) Discard() {
	if w.gone {
		return
	}
	w.ended, w.gone = true, true
	if w.size+int64(len(w.buf)) > 0 {
		w.s.submit(&discard{body: w.key, size: w.size + int64(len(w.buf))})
	}
}

// stageWrite is a chunk for the stager.
type stageWrite struct {
	key  spool.ID
	n    int
	data []byte
	done chan error
}

// stageLoop is the stager. What it writes is made durable by the sync of Finish,
// since both go through one log.
func (s *Spool) stageLoop(stop <-chan struct{}) {
	for {
		select {
		case w := <-s.staging:
			w.done <- s.writeChunk(w)
		case <-stop:
			return
		case <-s.fence.Sick():
			return
		}
	}
}

func (s *Spool) writeChunk(w stageWrite) error {
	b := s.db.NewBatchWithSize(len(w.data) + 256)
	defer b.Close()
	if w.n == 0 {
		k := layout.Key(layout.KindStaged, w.key)
		if err := b.Set(k[:], layout.StagedValue(0), nil); err != nil {
			return err
		}
	}
	k := layout.ChunkKey(w.key, w.n)
	if err := b.Set(k[:], w.data, nil); err != nil {
		return err
	}
	if err := s.db.Apply(b, pebble.NoSync); err != nil {
		return fmt.Errorf("pebblespool: %w", err)
	}
	return nil
}

// stageEnd stores the last chunk and says that the body is whole.
type stageEnd struct {
	*waiter
	key  spool.ID
	size int64 // without data
	data []byte
}

func (r *stageEnd) weigh() int { return len(r.data) + 100 }

func (r *stageEnd) build(g *group) error {
	if len(r.data) > 0 {
		k := layout.ChunkKey(r.key, int(r.size/layout.ChunkSize))
		g.set(k[:], r.data)
	}
	k := layout.Key(layout.KindStaged, r.key)
	g.set(k[:], layout.StagedValue(r.size+int64(len(r.data))))
	return nil
}

// discard deletes a body that no entry owns: staged and given up, or removed
// while it was being read.
type discard struct {
	body spool.ID
	size int64
}

func (r *discard) weigh() int   { return 100 * layout.Chunks(r.size) }
func (r *discard) finish(error) {}

func (r *discard) build(g *group) error {
	k := layout.Key(layout.KindStaged, r.body)
	if g.usedStaged[r.body] || g.get(k[:]) == nil {
		return nil
	}
	g.del(k[:], layout.StagedLen)
	g.deleteChunks(r.body, r.size)
	return nil
}
