//go:build unix

package external

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tenma/relay/wire/smtp"
)

// checker makes a program of a shell script. It writes what it was given into the
// file that is returned.
func checker(t *testing.T, script string) (c Config, seen string) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "checker")
	seen = filepath.Join(dir, "seen")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+strings.ReplaceAll(script, "SEEN", seen)), 0o700); err != nil {
		t.Fatal(err)
	}
	return Config{Kind: Command, Command: []string{path, "-x"}, Log: slog.New(slog.DiscardHandler), Timeout: 30 * time.Second}, seen
}

const knowsAnn = `
read -r address
case "$2 $address" in
"verify ann@example.test") read -r password; [ "$password" = "right \word" ] ;;
"lookup ann@example.test") exit 0 ;;
"verify odd@example.test") exit 75 ;;
*) exit 1 ;;
esac
`

func TestVerifyByCommand(t *testing.T) {
	c, _ := checker(t, knowsAnn)
	s := source(t, c)
	if err := s.Verify(t.Context(), ann, `right \word`); err != nil {
		t.Error(err)
	}
	for _, password := range []string{"wrong", "", "right"} {
		if err := s.Verify(t.Context(), ann, password); !errors.Is(err, ErrRefused) {
			t.Errorf("%q: %v", password, err)
		}
	}
	if err := s.Verify(t.Context(), smtp.Address{Local: "odd", Domain: "example.test"}, "x"); err == nil || errors.Is(err, ErrRefused) {
		t.Error(err)
	}
	if err := s.Verify(t.Context(), ann, `right \word`); err != nil {
		t.Errorf("one that cannot be answered stops the others: %v", err)
	}
	for a, want := range map[smtp.Address]bool{{Local: "ann", Domain: "other.test"}: false, ann: true, nobody: false} {
		if there, err := s.Exists(a); err != nil || there != want {
			t.Errorf("%s: %v, %v", a, there, err)
		}
	}
}

// Whoever is asked may take several spellings for the same name; here there is one.
func TestNamesHaveOneSpelling(t *testing.T) {
	c, _ := checker(t, "exit 0")
	s := source(t, c)
	for local, want := range map[string]bool{
		"ann": true, "o'brien+x=1": true, "jürgen": true, "名": true, "*": true,
		" ann": false, "ann ": false, "ann\u00a0x": false, "ann\u00ad": false, "a\u200bnn": false, "ann\ufe0f": false, "ａnn": false, "Ann": false, "ﬁn": false, "ju\u0308rgen": false,
	} {
		a := smtp.Address{Local: local, Domain: "example.test"}
		if there, err := s.Exists(a); there != want || err != nil {
			t.Errorf("%q: %v, %v", local, there, err)
		}
		if err := s.Verify(t.Context(), a, "x"); (err == nil) != want || err != nil && !errors.Is(err, ErrRefused) {
			t.Errorf("%q: %v", local, err)
		}
	}
}

// A password stands nowhere that others could read, and the relay's own
// environment is not handed on.
func TestCommandSecrets(t *testing.T) {
	t.Setenv("RELAY_SECRET", "hush")
	c, seen := checker(t, `echo "$0 $*" >SEEN; env >>SEEN; cat >/dev/null`)
	if err := source(t, c).Verify(t.Context(), ann, "swordfish"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(seen)
	if err != nil || strings.Contains(string(text), "swordfish") || strings.Contains(string(text), "hush") || !strings.Contains(string(text), "checker -x verify\n") {
		t.Errorf("%s, %v", text, err)
	}
}

// A program that hangs is ended with its children; one that prints without end or
// reads nothing does no harm.
func TestCommandMisbehaves(t *testing.T) {
	c, seen := checker(t, "exec 3>SEEN; sleep 600 & sleep 600")
	c.Timeout = 100 * time.Millisecond
	if err := syscall.Mkfifo(seen, 0o600); err != nil {
		t.Fatal(err)
	}
	alive, err := os.OpenFile(seen, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer alive.Close()
	start := time.Now()
	if err := source(t, c).Verify(t.Context(), ann, "x"); err == nil || errors.Is(err, ErrRefused) || time.Since(start) > time.Minute {
		t.Errorf("%v after %v", err, time.Since(start))
	}
	_ = alive.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := alive.Read(make([]byte, 1)); err != io.EOF { // whoever holds the other end is gone
		t.Errorf("a child lives on: %v", err)
	}
	c, _ = checker(t, `head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2; exit 0`)
	if err := source(t, c).Verify(t.Context(), ann, strings.Repeat("x", 1000)); err != nil {
		t.Error(err)
	}
	c, _ = checker(t, `kill -9 $$`)
	if err := source(t, c).Verify(t.Context(), ann, "x"); err == nil || errors.Is(err, ErrRefused) {
		t.Error(err)
	}
}
