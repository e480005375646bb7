package disk

import (
	"io"
	"log/slog"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// counted notes what is reserved of its files.
type counted struct {
	vfs.FS
	reserved int64
}

type countedFile struct {
	vfs.File
	fs *counted
}

func (c *counted) Create(name string, k vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := c.FS.Create(name, k)
	return &countedFile{f, c}, err
}

func (f *countedFile) Preallocate(_, length int64) error {
	f.fs.reserved += length
	return nil
}

// TestLogReservedInSteps: whatever Pebble asks for, a log takes no more disk
// than a step ahead of what is in it, and never runs out of what is reserved.
func TestLogReservedInSteps(t *testing.T) {
	fs := &counted{FS: vfs.NewMem()}
	f := NewFence(fs, false, slog.New(slog.NewTextHandler(io.Discard, nil)))
	log, err := f.Create("000001.log", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Preallocate(0, 280<<20); err != nil {
		t.Fatal(err)
	}
	const piece = 1 << 20
	for written := int64(0); written < 60<<20; written += piece {
		if fs.reserved <= written || fs.reserved > written+2*logStep {
			t.Fatalf("%d reserved with %d written", fs.reserved, written)
		}
		if _, err := log.Write(make([]byte, piece)); err != nil {
			t.Fatal(err)
		}
	}
	table, err := f.Create("000002.sst", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	before := fs.reserved
	if err := table.Preallocate(0, 100); err != nil || fs.reserved != before+100 {
		t.Errorf("a table's reservation was changed: %d, %v", fs.reserved-before, err)
	}
}
