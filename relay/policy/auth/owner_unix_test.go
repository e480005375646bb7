//go:build unix

package auth

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What root writes for a relay that runs as another user, that user can read.
func TestAccountsBelongToTheRelay(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	c := config(t)
	dir := filepath.Dir(c.Path)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, 4711, 4712); err != nil {
		t.Skip(err)
	}
	d := open(t, c)
	for _, name := range []string{"a@example.test", "b@example.test"} { // new, and replaced
		add(t, d, name)
		for _, p := range []string{c.Path, c.Path + ".lock"} {
			info, err := os.Stat(p)
			if err != nil {
				t.Fatal(err)
			}
			if st := info.Sys().(*syscall.Stat_t); st.Uid != 4711 || st.Gid != 4712 {
				t.Errorf("%s belongs to %d:%d", p, st.Uid, st.Gid)
			}
		}
	}
}
