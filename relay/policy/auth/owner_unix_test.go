//go:build unix

package auth

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"tenma/relay/wire/smtp"
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

// The user of the relay, who owns the directory, does not become the owner of
// what a link in it leads to.
func TestLockFileIsNoLink(t *testing.T) {
	for name, link := range map[string]func(string, string) error{"symbolic": os.Symlink, "hard": os.Link, "fifo": func(_, to string) error { return syscall.Mkfifo(to, 0o600) }} {
		c := config(t)
		dir := filepath.Dir(c.Path)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		target := filepath.Join(t.TempDir(), "shadow")
		if err := os.WriteFile(target, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := link(target, c.Path+".lock"); err != nil {
			t.Fatal(err)
		}
		if os.Geteuid() == 0 {
			if err := os.Chown(dir, 4711, 4712); err != nil {
				t.Skip(err)
			}
		}
		if err := open(t, c).Add(smtp.Address{Local: "a", Domain: "example.test"}, "a long password"); err == nil {
			t.Errorf("a %s link was taken for a lock", name)
		}
		info, err := os.Stat(target)
		if err != nil {
			t.Fatal(err)
		}
		if st := info.Sys().(*syscall.Stat_t); int(st.Uid) != os.Geteuid() {
			t.Errorf("behind a %s link: the file belongs to %d now", name, st.Uid)
		}
	}
}
