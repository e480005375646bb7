package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Spares are log files that were written before they are needed. Syncing a file
// that grows, or whose blocks were only reserved, also commits the file system's
// journal: its size and its block map have changed. Over blocks that were
// written before only the data goes out: on ext4 142 µs instead of 326 µs (8
// KiB), 190 instead of 380 (128 KiB), and what else is synced beside it, such as
// the mail log, is not waited for.
//
// A spare is a log that Pebble needs no more: Remove keeps it, so that spares
// outlive a restart. Or it is made of zeros, if MakeSpares is called. What stands in it does not
// matter: each chunk of the log carries the number of its log, and no number is
// used twice. A log number is two greater at least than the one that the file had
// before, because a log is not given up before the next was begun; so not even the
// trailer of the old log, which carries the number behind, is mistaken for part
// of the new.
//
// On a full disk a spare still takes a log: settlements go on in it.
//
// Errors of a spare are no errors of the log. A spare that cannot be made is done
// without.
type spares struct {
	dir  string
	size int64 // octets written in advance, of each
	keep int   // how many lie ready

	mu    sync.Mutex
	ready []string // paths
	used  uint64   // names given so far
}

// spareExt is what the name of a spare ends with. Pebble leaves names that it
// does not know alone.
const spareExt = ".spare"

// zeroStep is how much of a spare is written between two syncs: 1 MiB takes about
// a millisecond, which is what a commit may have to wait behind it.
const zeroStep = 1 << 20

// zeroPiece is how much is written at a time. The kernel caches a file in pieces
// as large as the writes that made it and counts a whole one as written when a
// part of it is: after writes of 1 MiB the statistics of the process showed 53
// times what went to the device.
const zeroPiece = 16 << 10

// zeroPause lies between two steps: 128 MiB take about a second.
const zeroPause = 5 * time.Millisecond

// KeepSpares has the fence keep so many spare logs of size octets in dir, which
// exists. Spares that an earlier run left are taken; MakeSpares makes new ones. To
// be called before the database is opened.
func (f *Fence) KeepSpares(dir string, keep int, size int64) error {
	s := &f.spares
	s.dir, s.keep, s.size = dir, keep, size
	names, err := f.FS.List(dir)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		if !strings.HasSuffix(name, spareExt) {
			continue
		}
		path := f.FS.PathJoin(dir, name)
		if info, err := f.FS.Stat(path); err == nil && s.serves(info.Size()) && len(s.ready) < keep {
			s.ready = append(s.ready, path)
			continue
		}
		if err := f.FS.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

// MakeSpares makes what is wanting of the spares and returns, at the latest when
// stop is closed. It is called once, when the database is open. Later only what
// Pebble gives up becomes a spare: a spool that fills faster than it is flushed
// takes more logs than there are spares, and writing each of those twice would
// cost more than its syncs.
func (f *Fence) MakeSpares(stop <-chan struct{}) {
	for made := 0; made < f.spares.keep && f.spares.wanting(); made++ {
		if err := f.makeSpare(stop); err != nil {
			if !errors.Is(err, errStopped) {
				f.log.Warn("a log file could not be written in advance", "dir", f.spares.dir, "error", err)
			}
			return
		}
	}
}

// serves reports whether a file of size octets makes a spare: a full log is
// somewhat shorter than its memtable, and the memtables of a run begin small and
// double.
func (s *spares) serves(size int64) bool { return size > s.size/2 }

func (s *spares) wanting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ready) < s.keep
}

// errStopped ends the making of a spare.
var errStopped = errors.New("stopped")

// makeSpare writes one spare, or what there is time for until stop is closed.
func (f *Fence) makeSpare(stop <-chan struct{}) error {
	s := &f.spares
	name := s.name()
	err := f.zeros(name, stop)
	if err != nil && f.Err() != nil {
		return errStopped // the disk stays as it is
	}
	if err != nil {
		if rm := f.FS.Remove(name); rm != nil && !errors.Is(rm, os.ErrNotExist) {
			err = errors.Join(err, rm)
		}
		return err
	}
	s.add(name)
	return nil
}

// zeros writes a file of s.size zeros. It goes below the fence, since its errors
// are not the log's, and step by step, so that no sync of the log waits long
// behind it.
func (f *Fence) zeros(name string, stop <-chan struct{}) (err error) {
	f.pass()
	file, err := f.FS.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	zero := make([]byte, zeroPiece)
	pause := time.NewTimer(0)
	defer pause.Stop()
	for done := int64(0); done < f.spares.size; {
		if f.Err() != nil {
			return errStopped
		}
		n, err := file.Write(zero[:min(zeroPiece, f.spares.size-done)])
		f.written.Add(int64(n))
		if err != nil {
			return err
		}
		if done += int64(n); done%zeroStep != 0 {
			continue
		}
		if err := file.SyncData(); err != nil {
			return err
		}
		select {
		case <-pause.C:
			pause.Reset(zeroPause)
		case <-stop:
			return errStopped
		case <-f.sick:
			return errStopped
		}
	}
	return file.Sync()
}

// name gives a path that no spare has.
func (s *spares) name() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		s.used++
		path := filepath.Join(s.dir, fmt.Sprintf("%06d%s", s.used, spareExt))
		if !slices.Contains(s.ready, path) {
			return path
		}
	}
}

func (s *spares) add(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = append(s.ready, path)
}

func (s *spares) some() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ready) > 0
}

// take gives a spare, "" if there is none.
func (s *spares) take() (path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.ready); n > 0 {
		path, s.ready = s.ready[n-1], s.ready[:n-1]
	}
	return path
}

// createLog begins a log in a spare, in a new file if there is none.
func (f *Fence) createLog(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if spare := f.spares.take(); spare != "" {
		if err := f.Rename(spare, name); err != nil {
			return nil, err
		}
		return f.openLog(name, c)
	}
	file, err := f.FS.Create(name, c)
	return f.wrap(file, name, f.check("create", name, err))
}

// openLog opens a log that lies where blocks were written before.
func (f *Fence) openLog(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.OpenReadWrite(name, c)
	if err != nil {
		return nil, err
	}
	if info, err := file.Stat(); err == nil {
		file.(*fencedFile).written0(info.Size())
	}
	return file, nil
}

// reuseLog begins log to where log from was, or in a spare if that is too short.
func (f *Fence) reuseLog(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if info, err := f.FS.Stat(from); err == nil && !f.spares.serves(info.Size()) && f.spares.some() {
		if err := f.Remove(from); err != nil {
			return nil, err
		}
		return f.createLog(to, c)
	}
	if err := f.Rename(from, to); err != nil {
		return nil, err
	}
	return f.openLog(to, c)
}

// keepLog makes a spare of a log that is needed no more, and reports whether it
// did.
func (f *Fence) keepLog(name string) (bool, error) {
	s := &f.spares
	if filepath.Dir(name) != filepath.Clean(s.dir) || !s.wanting() {
		return false, nil
	}
	info, err := f.FS.Stat(name)
	if err != nil || !s.serves(info.Size()) {
		return false, nil
	}
	spare := s.name()
	if err := f.Rename(name, spare); err != nil {
		return false, err
	}
	s.add(spare)
	return true, nil
}
