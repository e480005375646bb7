package relay

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Whatever a crash does, the text is one that was saved.
func TestKeep(t *testing.T) {
	disk := vfs.NewCrashableMem()
	if err := disk.MkdirAll("/data", 0o700); err != nil {
		t.Fatal(err)
	}
	if root, err := disk.OpenDir("/"); err != nil || root.Sync() != nil {
		t.Fatal(err)
	}
	k := &keep{fs: disk, dir: "/data", name: "kept"}
	if text, err := k.Load(); err != nil || len(text) > 0 {
		t.Errorf("%q, %v: from nowhere", text, err)
	}
	for _, want := range []string{"one", "and two", ""} {
		if err := k.Save([]byte(want)); err != nil {
			t.Fatal(err)
		}
		after := &keep{fs: disk.CrashClone(vfs.CrashCloneCfg{}), dir: "/data", name: "kept"}
		if text, err := after.Load(); err != nil || string(text) != want {
			t.Errorf("after a crash: %q, %v, want %q", text, err, want)
		}
	}
	if _, err := (&keep{dir: "/dev", name: "zero"}).Load(); err == nil {
		t.Error("a file without end was read")
	}
}
