package maillog

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	openName   = "mail.jsonl"
	closedHead = "mail-"
	closedTail = ".jsonl"
	sealedTail = ".jsonl.zst"
	tmpTail    = ".tmp"
	// closedTime is the form of TIME in mail-TIME.jsonl: it sorts.
	closedTime = "20060102T150405.000000Z"

	writeCategory vfs.DiskWriteCategory = "maillog"
)

// segment is the file that is written to.
type segment struct {
	file   vfs.File
	size   int64 // octets that are whole records and safe
	opened time.Time
}

func (l *Log) path(name string) string { return l.cfg.FS.PathJoin(l.cfg.Dir, name) }

// resume goes on with the segment that the last run left open, unless its end
// is torn: then that one is closed as it is, and sealing drops the torn line.
func (l *Log) resume() error {
	if err := l.cfg.FS.MkdirAll(l.cfg.Dir, 0o750); err != nil {
		return err
	}
	if err := l.syncWay(); err != nil {
		return err
	}
	info, err := l.cfg.FS.Stat(l.path(openName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if whole, err := l.whole(info.Size()); err != nil {
		return err
	} else if !whole {
		l.cfg.Log.Warn("last record of the mail log is torn, starting a new segment")
		return l.moveAway()
	}
	f, err := l.cfg.FS.OpenReadWrite(l.path(openName), writeCategory)
	if err != nil {
		return err
	}
	l.open = &segment{file: f, size: info.Size(), opened: time.Now()}
	return nil
}

// whole reports whether the open segment of that size ends in a whole line. A
// power failure can also leave zeros where pages were not written, so the last
// stretch is searched for them.
func (l *Log) whole(size int64) (bool, error) {
	f, err := l.cfg.FS.Open(l.path(openName))
	if err != nil {
		return false, err
	}
	defer f.Close()
	tail := make([]byte, min(size, 1<<20))
	if _, err := f.ReadAt(tail, size-int64(len(tail))); err != nil && err != io.EOF {
		return false, err
	}
	return size == 0 || tail[len(tail)-1] == '\n' && bytes.IndexByte(tail, 0) < 0, nil
}

// store writes the backlog and makes it safe, or changes nothing that counts:
// after a failed write the same octets go to the same place again, and after a
// failed sync, which leaves it unknown what is on disk, to a new segment. io
// is held.
func (l *Log) store() error {
	if l.open == nil {
		if err := l.create(); err != nil {
			return err
		}
	}
	s := l.open
	if _, err := s.file.WriteAt(l.backlog, s.size); err != nil {
		return err
	}
	if l.cfg.Sync {
		if err := s.file.SyncData(); err != nil {
			s.file.Close() // its error would add nothing
			l.open = nil
			return err
		}
	}
	s.size += int64(len(l.backlog))
	l.cfg.Metrics.WrittenBytes.Add(float64(len(l.backlog)))
	if l.backlog = l.backlog[:0]; cap(l.backlog) > 4<<20 {
		l.backlog = nil
	}
	return nil
}

// create makes a new open segment. A file that still bears its name is moved
// away first, never written over. io is held.
func (l *Log) create() error {
	if _, err := l.cfg.FS.Stat(l.path(openName)); err == nil {
		if err := l.moveAway(); err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := l.cfg.FS.OpenReadWrite(l.path(openName), writeCategory)
	if err != nil {
		return err
	}
	if l.cfg.Sync {
		if err := l.syncDir(l.cfg.Dir); err != nil {
			f.Close()
			return err
		}
	}
	l.open = &segment{file: f, opened: time.Now()}
	return nil
}

// rotate closes the open segment. A failure is not the records' concern, which
// are safe already; the next write will meet it again. io is held.
func (l *Log) rotate() {
	err := l.open.file.Close()
	l.open = nil
	if err = errors.Join(err, l.moveAway()); err != nil {
		l.cfg.Log.Error("mail log segment could not be closed", "error", err)
	}
}

// rotateAged closes the open segment if its time has come, and tells when the
// next look is due; 0: there is nothing to look at.
func (l *Log) rotateAged() time.Duration {
	l.io.Lock()
	defer l.io.Unlock()
	if l.open == nil || l.open.size == 0 {
		return 0
	}
	left := time.Until(l.open.opened.Add(l.cfg.SegmentAge))
	if left > 0 {
		return left
	}
	l.rotate()
	return 0
}

// moveAway gives the open segment the name of a closed one. Names follow each
// other in time even if two fall into one microsecond. io is held, or Run does
// not run yet.
func (l *Log) moveAway() error {
	names, err := l.cfg.FS.List(l.cfg.Dir)
	if err != nil {
		return err
	}
	at := time.Now().UTC().Truncate(time.Microsecond)
	for _, n := range names {
		if t, ok := closedAt(n); ok && !t.Before(at) && t.Before(at.Add(time.Hour)) {
			at = t.Add(time.Microsecond)
		}
	}
	if err := l.cfg.FS.Rename(l.path(openName), l.path(closedHead+at.Format(closedTime)+closedTail)); err != nil {
		return err
	}
	signal(l.seal)
	return nil
}

// closedAt reads the time from the name of a closed or sealed segment.
func closedAt(name string) (time.Time, bool) {
	s, ok := strings.CutPrefix(name, closedHead)
	if !ok {
		return time.Time{}, false
	}
	s, sealed := strings.CutSuffix(s, sealedTail)
	if !sealed {
		if s, ok = strings.CutSuffix(s, closedTail); !ok {
			return time.Time{}, false
		}
	}
	t, err := time.Parse(closedTime, s)
	return t, err == nil
}

// syncWay syncs every directory above the log's: a record is no safer than the
// way to it, and an earlier run may have died between making and syncing. Those
// further up were most likely not made by us, and not all of them can be opened
// or synced, so only the nearest must.
func (l *Log) syncWay() error {
	nearest := l.cfg.FS.PathDir(l.cfg.Dir)
	if err := l.syncDir(nearest); err != nil {
		return err
	}
	for dir := nearest; ; {
		above := l.cfg.FS.PathDir(dir)
		if above == dir {
			return nil
		}
		_ = l.syncDir(above)
		dir = above
	}
}

func (l *Log) syncDir(dir string) error {
	d, err := l.cfg.FS.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
