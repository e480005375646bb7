//go:build unix

package dkim

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What root makes for a relay that runs as another user, that user can read.
func TestKeysBelongToTheRelay(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	data := t.TempDir()
	if err := os.Chown(data, 4711, 4712); err != nil {
		t.Skip(err)
	}
	path := filepath.Join(data, "dkim", "example.test", "key.pem")
	if _, err := Generate(Ed25519, 0, path); err != nil {
		t.Fatal(err)
	}
	for p := path; p != filepath.Dir(data); p = filepath.Dir(p) {
		info, err := os.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		if st := info.Sys().(*syscall.Stat_t); st.Uid != 4711 || st.Gid != 4712 {
			t.Errorf("%s belongs to %d:%d", p, st.Uid, st.Gid)
		}
	}
}
