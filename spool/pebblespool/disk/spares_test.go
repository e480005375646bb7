package disk

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const spareSize = 3 << 20

// yard is a folder with a fence that keeps two spares.
func yard(t *testing.T, fs vfs.FS) *Fence {
	t.Helper()
	f := NewFence(fs, false, slog.New(slog.DiscardHandler))
	if err := f.KeepSpares("logs", 2, spareSize); err != nil {
		t.Fatal(err)
	}
	return f
}

func newYard(t *testing.T) (*Fence, *vfs.MemFS) {
	t.Helper()
	mem := vfs.NewMem()
	if err := mem.MkdirAll("logs", 0o700); err != nil {
		t.Fatal(err)
	}
	return yard(t, mem), mem
}

// list gives the names that lie in the folder, spares as "spare".
func list(t *testing.T, fs vfs.FS) string {
	t.Helper()
	names, err := fs.List("logs")
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range names {
		if strings.HasSuffix(n, spareExt) {
			names[i] = "spare"
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func closed(t *testing.T) func(vfs.File, error) {
	return func(f vfs.File, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func sizeOf(t *testing.T, fs vfs.FS, name string) int64 {
	t.Helper()
	info, err := fs.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// TestSparesTaken: logs begin in spares, and become spares again.
func TestSparesTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, mem := newYard(t)
		closed(t)(f.Create("logs/1.log", "")) // before there is a spare
		f.MakeSpares(nil)
		if got := list(t, mem); got != "1.log spare spare" {
			t.Fatal(got)
		}
		closed(t)(f.Create("logs/2.log", ""))
		if n := sizeOf(t, mem, "logs/2.log"); n != spareSize {
			t.Errorf("a log began in %d octets", n)
		}
		closed(t)(f.ReuseForWrite("logs/1.log", "logs/3.log", "")) // 1.log is short
		if got := list(t, mem); got != "2.log 3.log" {
			t.Error(got)
		}
		if n := sizeOf(t, mem, "logs/3.log"); n != spareSize {
			t.Errorf("the log that took the place of a short one began in %d octets", n)
		}
		closed(t)(f.ReuseForWrite("logs/2.log", "logs/4.log", ""))
		if err := f.Remove("logs/3.log"); err != nil {
			t.Fatal(err)
		}
		if got := list(t, mem); got != "4.log spare" {
			t.Error(got)
		}
	})
}

// TestSparesOutlive: a later process goes on with what is there, and clears away
// what was not finished.
func TestSparesOutlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, mem := newYard(t)
		f.MakeSpares(nil)
		closed(t)(mem.Create("logs/000009.spare", ""))
		f = yard(t, mem)
		if got := list(t, mem); got != "spare spare" {
			t.Error(got)
		}
		closed(t)(f.Create("logs/1.log", ""))
		closed(t)(f.Create("logs/2.log", ""))
		for _, name := range []string{"logs/1.log", "logs/2.log"} {
			if n := sizeOf(t, mem, name); n != spareSize {
				t.Errorf("%s begins in %d octets", name, n)
			}
		}
	})
}

// TestSparesBounded: making them stops when it is told to and leaves nothing
// unfinished; what is not wanting is not kept.
func TestSparesBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, mem := newYard(t)
		stop := make(chan struct{})
		go f.MakeSpares(stop)
		synctest.Wait() // in the pause after the first steps
		close(stop)
		synctest.Wait()
		if got := list(t, mem); got != "" {
			t.Errorf("stopped, and left %q", got)
		}
		f.MakeSpares(nil)
		f.MakeSpares(nil)
		closed(t)(mem.Create("logs/1.log", ""))
		file, err := mem.OpenReadWrite("logs/1.log", "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write(bytes.Repeat([]byte{1}, spareSize)); err != nil {
			t.Fatal(err)
		}
		closed(t)(file, nil)
		if err := f.Remove("logs/1.log"); err != nil {
			t.Fatal(err)
		}
		if got := list(t, mem); got != "spare spare" {
			t.Error(got)
		}
	})
}
