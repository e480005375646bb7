package sink

import (
	"os"
	"path/filepath"
	"testing"

	"tenma/bench/load"
)

// What is stored late is as it was when it came, though its buffer was used
// again, and is written by flush; what has no room in memory is written at once.
func TestStoreLate(t *testing.T) {
	st := &store{dir: t.TempDir(), late: true}
	data := []byte("one")
	if err := st.write(load.Tag{Run: "r", N: 1}, true, 1, data); err != nil {
		t.Fatal(err)
	}
	copy(data, "two")
	if all, _ := os.ReadDir(st.dir); len(all) != 0 {
		t.Errorf("%d files before their time", len(all))
	}
	st.size = maxHeld - 2
	if err := st.write(load.Tag{Run: "r", N: 2}, true, 1, data); err != nil {
		t.Fatal(err)
	}
	if all, _ := os.ReadDir(st.dir); len(all) != 1 {
		t.Errorf("%d files, though there is no room", len(all))
	}
	if err := st.flush(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"r.1.eml": "one", "r.2.eml": "two"} {
		if got, err := os.ReadFile(filepath.Join(st.dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if st.size != 0 || st.held != nil {
		t.Error("it is still held")
	}
	st.dir = filepath.Join(st.dir, "none")
	if err := st.write(load.Tag{Run: "r", N: 3}, true, 1, data); err != nil {
		t.Fatal(err)
	}
	if err := st.flush(); err == nil {
		t.Error("a message that cannot be stored is no error")
	}
}
