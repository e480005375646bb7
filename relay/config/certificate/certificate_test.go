package certificate

import (
	"bytes"
	"crypto/tls"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tenma/relay/config"
)

func selfSigned(dir string) config.TLS {
	return config.TLS{Certificate: filepath.Join(dir, config.SelfCert), Key: filepath.Join(dir, config.SelfKey), SelfSigned: true}
}

func TestSelfSigned(t *testing.T) {
	dir := t.TempDir()
	paths := selfSigned(dir)
	c, err := Open(paths, "mx.sender.test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	first := shown(t, c)
	for _, name := range []string{"mx.sender.test", "localhost", "127.0.0.1"} {
		if err := first.Leaf.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	info, err := os.Stat(paths.Key)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key has mode %v, %v", info.Mode(), err)
	}
	again, err := Open(paths, "mx.sender.test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Certificate[0], shown(t, again).Certificate[0]) {
		t.Error("a second start made a second certificate")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 2 {
		t.Errorf("left behind: %v", entries)
	}
	if minimum := c.Server().MinVersion; minimum != tls.VersionTLS12 {
		t.Errorf("minimum version %x", minimum)
	}
}

// A renewed pair is taken without a restart; a broken one leaves the former.
func TestRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, other := t.TempDir(), t.TempDir()
		var logged strings.Builder
		c, err := Open(selfSigned(dir), "mx.sender.test", slog.New(slog.NewTextHandler(&logged, nil)))
		if err != nil {
			t.Fatal(err)
		}
		first := shown(t, c)
		if _, err := Open(selfSigned(other), "new.sender.test", slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}

		// Only the certificate is new: the pair does not fit.
		move(t, other, dir, config.SelfCert)
		time.Sleep(recheck + 1)
		if shown(t, c) != first || !strings.Contains(logged.String(), "stays in force") {
			t.Errorf("a half-written pair is shown; log: %s", logged.String())
		}
		move(t, other, dir, config.SelfKey)
		if shown(t, c) != first {
			t.Error("files are looked at on every handshake")
		}
		time.Sleep(recheck + 1)
		if name := shown(t, c).Leaf.Subject.CommonName; name != "new.sender.test" {
			t.Errorf("still shows the certificate of %s", name)
		}
	})
}

func TestExpiredSelfSignedIsMadeAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		paths := selfSigned(t.TempDir())
		log := slog.New(slog.DiscardHandler)
		c, err := Open(paths, "mx.sender.test", log)
		if err != nil {
			t.Fatal(err)
		}
		first := shown(t, c)
		time.Sleep(selfLife + time.Hour)
		c, err = Open(paths, "mx.sender.test", log)
		if err != nil {
			t.Fatal(err)
		}
		if second := shown(t, c).Leaf; second.Equal(first.Leaf) || time.Now().After(second.NotAfter) {
			t.Errorf("shows a certificate that ended %v", second.NotAfter)
		}
	})
}

func TestOpenFails(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	dir := filepath.Join(t.TempDir(), "missing")
	if _, err := Open(selfSigned(dir), "mx", log); err == nil {
		t.Error("a certificate was made in a directory that is not there")
	}
	paths := selfSigned(dir)
	paths.SelfSigned = false
	if _, err := Open(paths, "mx", log); err == nil || !strings.Contains(err.Error(), config.SelfCert) {
		t.Errorf("error %v", err)
	}
}

func shown(t *testing.T, c *Pair) *tls.Certificate {
	t.Helper()
	pair, err := c.Server().GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func move(t *testing.T, from, to, name string) {
	t.Helper()
	if err := os.Rename(filepath.Join(from, name), filepath.Join(to, name)); err != nil {
		t.Fatal(err)
	}
}

func TestNotAfter(t *testing.T) {
	c, err := Open(selfSigned(t.TempDir()), "mx.sender.test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.NotAfter(), shown(t, c).Leaf.NotAfter; !got.Equal(want) || time.Until(got) < selfLife-time.Hour {
		t.Errorf("valid until %v, the certificate says %v", got, want)
	}
}

// The ways in which other programs put a new pair in place: one file after the other,
// either first, and all at once by a link that leads elsewhere (Kubernetes, certbot).
func TestPlacedByOthers(t *testing.T) {
	for _, first := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			dir, other := t.TempDir(), t.TempDir()
			c, next := open(t, dir), open(t, other)
			files := []string{config.SelfCert, config.SelfKey}
			before, want := shown(t, c), shown(t, next)
			move := func(i int) {
				if err := os.Rename(filepath.Join(other, files[i]), filepath.Join(dir, files[i])); err != nil {
					t.Fatal(err)
				}
				time.Sleep(recheck + time.Second)
			}
			if move(first); !bytes.Equal(shown(t, c).Certificate[0], before.Certificate[0]) {
				t.Error("half of the new pair is shown")
			}
			if move(1 - first); !bytes.Equal(shown(t, c).Certificate[0], want.Certificate[0]) {
				t.Error("the new pair is not taken")
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		dir, one, two := t.TempDir(), t.TempDir(), t.TempDir()
		open(t, one)
		want := shown(t, open(t, two))
		link, next := filepath.Join(dir, "data"), filepath.Join(dir, "data.next")
		if err := errors.Join(os.Symlink(one, link), os.Symlink(two, next)); err != nil {
			t.Fatal(err)
		}
		c := open(t, link)
		if err := os.Rename(next, link); err != nil {
			t.Fatal(err)
		}
		time.Sleep(recheck + time.Second)
		if !bytes.Equal(shown(t, c).Certificate[0], want.Certificate[0]) {
			t.Error("the pair behind the new link is not taken")
		}
	})
}

func open(t *testing.T, dir string) *Pair {
	t.Helper()
	c, err := Open(selfSigned(dir), "mx.sender.test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return c
}
