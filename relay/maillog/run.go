package maillog

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/klauspost/compress/zstd"
)

// Run writes what nobody flushes, closes and seals segments, and deletes old
// ones, until ctx is cancelled; then it writes what is left and returns the
// error of that. Record and Flush work on after it, until Close.
func (l *Log) Run(ctx context.Context) error {
	var sealer sync.WaitGroup
	sealer.Go(func() { l.sealer(ctx) })
	l.writer(ctx)
	sealer.Wait()
	return l.Flush()
}

// writer sleeps while nothing is recorded: an idle log costs no time.
func (l *Log) writer(ctx context.Context) {
	for ctx.Err() == nil {
		var aged <-chan time.Time
		if left := l.rotateAged(); left > 0 {
			aged = time.After(left)
		}
		select {
		case <-ctx.Done():
			return
		case <-aged:
			continue
		case <-l.waiting:
		}
		pause(ctx, writeDelay, l.many)
		for l.Flush() != nil && l.left() && ctx.Err() == nil {
			pause(ctx, retryDelay, nil)
		}
	}
}

// left reports whether records wait.
func (l *Log) left() bool { return l.Stats().Waiting > 0 }

func pause(ctx context.Context, d time.Duration, early <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-early:
	}
}

// sealer looks after closed segments: when one appears, and every hour.
func (l *Log) sealer(ctx context.Context) {
	for ctx.Err() == nil {
		if err := l.tidy(ctx); err != nil {
			l.cfg.Metrics.SealErrors.Inc()
			l.cfg.Log.Error("mail log segments could not be sealed or deleted, will retry", "error", err)
		}
		pause(ctx, sealRetry, l.seal)
	}
}

// tidy deletes what is past its age or left over, and seals the rest.
func (l *Log) tidy(ctx context.Context) error {
	names, err := l.cfg.FS.List(l.cfg.Dir)
	if err != nil {
		return err
	}
	slices.Sort(names)
	var errs []error
	for _, name := range names {
		if ctx.Err() != nil {
			break
		}
		base, plain := strings.CutSuffix(name, closedTail)
		at, ours := closedAt(name)
		switch {
		case strings.HasPrefix(name, closedHead) && strings.HasSuffix(name, sealedTail+tmpTail): // a crash while sealing
			errs = append(errs, l.cfg.FS.Remove(l.path(name)))
		case !ours:
		case time.Since(at) > l.cfg.Retain:
			errs = append(errs, l.cfg.FS.Remove(l.path(name)))
		case plain && slices.Contains(names, base+sealedTail): // a crash after sealing
			errs = append(errs, l.cfg.FS.Remove(l.path(name)))
		case plain:
			errs = append(errs, l.sealOne(base))
		}
	}
	return errors.Join(errs...)
}

// sealOne compresses a closed segment. The plain file goes when the compressed
// one is on stable storage under its name, so that a crash at any point leaves
// one of them whole.
func (l *Log) sealOne(base string) error {
	tmp, sealed := l.path(base+sealedTail+tmpTail), l.path(base+sealedTail)
	if err := l.compress(l.path(base+closedTail), tmp); err != nil {
		return errors.Join(err, l.cfg.FS.Remove(tmp))
	}
	if err := l.cfg.FS.Rename(tmp, sealed); err != nil {
		return err
	}
	if err := l.syncDir(l.cfg.Dir); err != nil {
		return err
	}
	l.cfg.Metrics.Sealed.Inc()
	return l.cfg.FS.Remove(l.path(base + closedTail))
}

func (l *Log) compress(from, to string) error {
	in, err := l.cfg.FS.Open(from, vfs.SequentialReadsOption)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := l.cfg.FS.Create(to, writeCategory)
	if err != nil {
		return err
	}
	// One goroutine, our own: sealing has time.
	z, err := zstd.NewWriter(out, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return errors.Join(err, out.Close())
	}
	err = copyLines(z, in)
	err = errors.Join(err, z.Close())
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

// copyLines copies the lines that are whole records. What a crash tore is left
// out: a line without an end, or with zeros where a page was not written.
func copyLines(w io.Writer, r io.Reader) error {
	in := bufio.NewReaderSize(r, 256<<10)
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == bufio.ErrBufferFull && len(line) < 64<<20: // no record is so long
			continue
		case err == bufio.ErrBufferFull: // read over
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case line[0] == '{' && bytes.HasSuffix(line, []byte("}\n")) && bytes.IndexByte(line, 0) < 0:
			if _, err := w.Write(line); err != nil {
				return err
			}
		}
		line = line[:0]
	}
}
