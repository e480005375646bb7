package disk

import (
	"errors"
	"log/slog"
	"runtime"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tenma/spool"
)

// TestFenceParks: after the first failure nothing is written, by whatever way.
// A write that gets through is seen soon; that none does cannot be waited for,
// so the test can miss a fault on a slow day and never sees one that is not.
func TestFenceParks(t *testing.T) {
	mem := vfs.NewMem()
	f := NewFence(mem, false, slog.New(slog.DiscardHandler))
	table, err := f.Create("1.sst", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Err(); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	f.Fail("sync", "1.log", broken)
	f.Fail("sync", "2.log", errors.New("later"))
	if err := f.Err(); !errors.Is(err, spool.ErrSick) || !errors.Is(err, broken) {
		t.Fatalf("reason: %v", err)
	}
	through := make(chan string, 20)
	for name, op := range map[string]func() error{
		"create": func() error { _, err := f.Create("2.sst", ""); return err },
		"write":  func() error { _, err := table.Write([]byte("x")); return err },
		"sync":   table.Sync,
		"remove": func() error { return f.Remove("1.sst") },
		"rename": func() error { return f.Rename("1.sst", "2.sst") },
		"reuse":  func() error { _, err := f.ReuseForWrite("1.sst", "2.sst", ""); return err },
		"open":   func() error { _, err := f.OpenReadWrite("3.log", ""); return err },
		"link":   func() error { return f.Link("1.sst", "4.sst") },
	} {
		go func() { _ = op(); through <- name }()
	}
	for range 1000 {
		runtime.Gosched()
	}
	select {
	case name := <-through:
		t.Errorf("%s went through a sick fence", name)
	default:
	}
	if file, err := f.Open("1.sst"); err != nil { // reads go on
		t.Error(err)
	} else if err := file.Close(); err != nil {
		t.Error(err)
	}
}

// Every octet that is written to a file counts, whatever the file is for.
func TestFenceCounts(t *testing.T) {
	f := NewFence(vfs.NewMem(), false, slog.New(slog.DiscardHandler))
	for _, name := range []string{"1.log", "2.sst", "3.blob", "MANIFEST-1"} {
		file, err := f.Create(name, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteAt(make([]byte, 10), 0); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := f.Written(); got != 440 {
		t.Errorf("%d octets, not 440", got)
	}
}
