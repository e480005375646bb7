//go:build unix

package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"tenma/relay/config"
)

// What root brings in for a relay that runs as another user, that user can open;
// what lies elsewhere does not become that user's.
func TestMailboxesBelongToTheRelay(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	dir := t.TempDir()
	cfg := &config.Config{DataDir: filepath.Join(dir, "data")}
	cfg.Mailbox.Dir = filepath.Join(cfg.DataDir, "mailboxes")
	if err := os.Mkdir(cfg.DataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(cfg.DataDir, 4711, 4712); err != nil {
		t.Skip(err)
	}
	secret := filepath.Join(dir, "shadow")
	if err := os.WriteFile(secret, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	owner := func(path string) (uid, gid uint32) {
		t.Helper()
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		st := info.Sys().(*syscall.Stat_t)
		return st.Uid, st.Gid
	}
	for round := range 2 { // new, and there before
		_, end, err := openBoxes(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := end(); err != nil {
			t.Fatal(err)
		}
		n := 0
		if err := filepath.WalkDir(cfg.Mailbox.Dir, func(path string, _ fs.DirEntry, err error) error {
			n++
			if uid, gid := owner(path); err == nil && (uid != 4711 || gid != 4712) && filepath.Base(path) != "linked" {
				t.Errorf("%s belongs to %d:%d", path, uid, gid)
			}
			return err
		}); err != nil || n < 3 {
			t.Fatal(n, err)
		}
		if round > 0 {
			break
		}
		if err := os.Link(secret, filepath.Join(cfg.Mailbox.Dir, "linked")); err != nil {
			t.Fatal(err)
		}
	}
	if uid, _ := owner(secret); uid != 0 {
		t.Error("a file from elsewhere was given away")
	}
}
