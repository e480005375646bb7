package disk

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tenma/spool"
)

// Fence stands between Pebble and the file system. On the first error of the
// write-ahead log, the manifest or a directory it declares the spool sick and
// parks that operation and each later write for good, so Pebble never sees the
// error.
//
// It is there because of what Pebble does with such errors: a failed WAL write
// calls Logger.Fatalf, and if that returns, Commit returns nil for a batch
// that is lost; a failed WAL rotation panics whatever the logger does. Ending
// the process instead would be safe too, but clients would lose their
// connection rather than hear 452, and running deliveries their final dot.
//
// Errors of tables pass: Pebble tries them again with another file, nothing
// acknowledged depends on them (the log has it), and if they go on, commits
// stall until the commit time-out makes the spool sick.
//
// Before the first error nothing is held back. After it, everything the
// process acknowledged is on disk, and the disk stays as it is until the
// process ends. A sick spool is therefore neither closed nor opened again.
type Fence struct {
	vfs.FS
	log    *slog.Logger
	noSync bool          // the log is written, not synced
	sick   chan struct{} // closed by Fail
	spares spares

	written atomic.Int64 // octets, to all files

	once   sync.Once
	reason error // set before sick is closed
}

// NewFence puts a fence on fs. With noSync the log is written but not synced.
func NewFence(fs vfs.FS, noSync bool, log *slog.Logger) *Fence {
	return &Fence{FS: fs, log: log, noSync: noSync, sick: make(chan struct{})}
}

// Fail makes the spool sick. Only the first call counts.
func (f *Fence) Fail(op, path string, err error) {
	f.once.Do(func() {
		f.reason = fmt.Errorf("%w: %s %s: %w", spool.ErrSick, op, path, err)
		f.log.Error("the spool's storage failed; mail is refused until the process is restarted",
			"op", op, "path", path, "error", err)
		close(f.sick)
	})
}

// Err is nil or the reason, which wraps spool.ErrSick.
func (f *Fence) Err() error {
	select {
	case <-f.sick:
		return f.reason
	default:
		return nil
	}
}

// Written gives the octets that were written to files since the fence was made:
// log, tables, values, manifest. What a file system adds is not in it, nor what
// it leaves out by reserving.
func (f *Fence) Written() int64 { return f.written.Load() }

// Sick is closed when the spool becomes sick.
func (f *Fence) Sick() <-chan struct{} { return f.sick }

// pass holds the caller for ever if the spool is sick.
func (f *Fence) pass() {
	select {
	case <-f.sick:
		select {}
	default:
	}
}

// check lets a good result through. An error of a vital file parks the caller.
func (f *Fence) check(op, path string, err error) error {
	if err == nil || !vital(path) {
		return err
	}
	f.Fail(op, path, err)
	select {}
}

// vital reports whether an error on path may not reach Pebble: all but tables
// and blob files.
func vital(path string) bool {
	switch filepath.Ext(path) {
	case ".sst", ".blob":
		return false
	}
	return true
}

func (f *Fence) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f.pass()
	if isLog(name) {
		return f.createLog(name, c)
	}
	file, err := f.FS.Create(name, c)
	return f.wrap(file, name, f.check("create", name, err))
}

func (f *Fence) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f.pass()
	file, err := f.FS.OpenReadWrite(name, c, opts...)
	return f.wrap(file, name, f.check("open", name, err))
}

// ReuseForWrite is a rename and an open, which is what the real file system
// makes of it; the one of vfs.MemFS can deadlock with CrashClone.
func (f *Fence) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f.pass()
	if isLog(to) {
		return f.reuseLog(from, to, c)
	}
	if err := f.Rename(from, to); err != nil {
		return nil, err
	}
	return f.OpenReadWrite(to, c)
}

func (f *Fence) OpenDir(name string) (vfs.File, error) {
	file, err := f.FS.OpenDir(name)
	return f.wrap(file, name, f.check("open", name, err))
}

func (f *Fence) Link(from, to string) error {
	f.pass()
	return f.check("link", to, f.FS.Link(from, to))
}

func (f *Fence) Rename(from, to string) error {
	f.pass()
	return f.check("rename", to, f.FS.Rename(from, to))
}

func (f *Fence) Remove(name string) error {
	f.pass()
	if isLog(name) {
		if kept, err := f.keepLog(name); kept || err != nil {
			return err
		}
	}
	err := f.FS.Remove(name)
	if errors.Is(err, os.ErrNotExist) {
		return err
	}
	return f.check("remove", name, err)
}

func (f *Fence) RemoveAll(name string) error {
	f.pass()
	return f.check("remove", name, f.FS.RemoveAll(name))
}

func (f *Fence) MkdirAll(dir string, perm os.FileMode) error {
	f.pass()
	return f.check("mkdir", dir, f.FS.MkdirAll(dir, perm))
}

// Unwrap is for vfs.Root.
func (f *Fence) Unwrap() vfs.FS { return f.FS }

func (f *Fence) wrap(file vfs.File, name string, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &fencedFile{File: file, fence: f, name: name}, nil
}

// fencedFile is an open file behind the fence. Reads pass.
type fencedFile struct {
	vfs.File
	fence *Fence
	name  string

	// The log's, by its one writer.
	written, reserved, ready int64
}

// written0 says that the first n octets of the log lie in blocks that were
// written before.
func (f *fencedFile) written0(n int64) { f.ready, f.reserved = n, n }

// logStep is how much of a log file is reserved on disk at a time. Pebble
// would reserve a whole memtable for each: with six logs of 256 MiB open, 2.5
// GB of disk for 100 MB of mail.
const logStep = 16 << 20

// Preallocate is Pebble's; a log is reserved step by step as it is written.
func (f *fencedFile) Preallocate(offset, length int64) error {
	if isLog(f.name) {
		f.reserve()
		return nil
	}
	return f.File.Preallocate(offset, length)
}

// reserve keeps half a step ahead of what is written. That the disk has no room
// for it is no error yet; a write will tell.
func (f *fencedFile) reserve() {
	if f.written < f.ready {
		return
	}
	if f.written+logStep/2 > f.reserved {
		_ = f.File.Preallocate(f.reserved, logStep)
		f.reserved += logStep
	}
}

func (f *fencedFile) Write(p []byte) (int, error) {
	f.fence.pass()
	n, err := f.File.Write(p)
	f.fence.written.Add(int64(n))
	if f.written += int64(n); f.reserved > 0 {
		f.reserve()
	}
	return n, f.fence.check("write", f.name, err)
}

func (f *fencedFile) WriteAt(p []byte, off int64) (int, error) {
	f.fence.pass()
	n, err := f.File.WriteAt(p, off)
	f.fence.written.Add(int64(n))
	return n, f.fence.check("write", f.name, err)
}

// unsynced reports that the file is the log and syncing is turned off. It is
// done here and not by Pebble's NoSync, which would acknowledge what is still
// in this process.
func (f *fencedFile) unsynced() bool { return f.fence.noSync && isLog(f.name) }

func isLog(name string) bool { return filepath.Ext(name) == ".log" }

func (f *fencedFile) Sync() error {
	f.fence.pass()
	if f.unsynced() {
		return nil
	}
	return f.fence.check("sync", f.name, f.File.Sync())
}

func (f *fencedFile) SyncData() error {
	f.fence.pass()
	if f.unsynced() {
		return nil
	}
	return f.fence.check("sync", f.name, f.File.SyncData())
}

func (f *fencedFile) SyncTo(length int64) (bool, error) {
	f.fence.pass()
	full, err := f.File.SyncTo(length)
	return full, f.fence.check("sync", f.name, err)
}

// Close errors count where the file was written to: a file system may report a
// lost write only here. Directories and files that were read are not written to.
func (f *fencedFile) Close() error {
	err := f.File.Close()
	if isLog(f.name) || strings.Contains(filepath.Base(f.name), "MANIFEST") {
		return f.fence.check("close", f.name, err)
	}
	return err
}
