package lastlogin

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func read(t *testing.T, b *Book, account string) []Login {
	t.Helper()
	all, err := b.Read(account)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestNote(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logins")
	b := New(dir, slog.New(slog.DiscardHandler))
	const ann = "ann@example.test"
	if len(read(t, b, ann)) != 0 {
		t.Error("someone was there")
	}
	first := Login{Time: noon, Protocol: "imap", Client: "192.0.2.1"}
	b.Note(ann, first)
	again := first
	again.Time = noon.Add(noteEvery - 1)
	b.Note(ann, again)
	if got := read(t, b, ann); len(got) != 1 || got[0] != first {
		t.Errorf("%v", got)
	}
	again.Time = noon.Add(noteEvery)
	phone := Login{Time: noon.Add(time.Second), Protocol: "pop3", Client: "2001:db8::1", App: "phone"}
	b.Note(ann, phone)
	b.Note(ann, again)
	if got := read(t, New(dir, nil), ann); len(got) != 2 || got[0] != again || got[1] != phone {
		t.Errorf("%v", got)
	}
	if err := b.Forget(ann); err != nil || len(read(t, b, ann)) != 0 {
		t.Error(err)
	}
	if err := b.Forget(ann); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("%v", left)
	}
	none := New("", nil)
	none.Note(ann, first)
	if got, err := none.Read(ann); got != nil || err != nil {
		t.Error(got, err)
	}
}

// A directory that cannot be written stops nobody, and is told once an hour.
func TestNoteFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	b := New(file, slog.New(slog.NewTextHandler(&log, nil)))
	for i := range 10 {
		b.Note("ann@example.test", Login{Time: noon.Add(time.Duration(i) * noteEvery), Protocol: "imap", Client: "192.0.2.1"})
	}
	if strings.Count(log.String(), "\n") != 1 {
		t.Errorf("%s", &log)
	}
}

func TestNoteByMany(t *testing.T) {
	b := New(t.TempDir(), slog.New(slog.DiscardHandler))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				b.Note(fmt.Sprint(j%5, "@example.test"), Login{Time: noon.Add(time.Duration(j) * time.Hour), Protocol: "imap", Client: "192.0.2.1", App: fmt.Sprint("a", i)})
			}
		})
	}
	wg.Wait()
	for j := range 5 {
		if got := read(t, b, fmt.Sprint(j, "@example.test")); len(got) != 8 || !got[0].Time.Equal(noon.Add(time.Duration(45+j)*time.Hour)) {
			t.Errorf("%v", got)
		}
	}
}

func TestFilesAreBounded(t *testing.T) {
	b := New(t.TempDir(), slog.New(slog.DiscardHandler))
	for i := range 3 * maxLines {
		b.Note("ann@example.test", Login{Time: noon.Add(time.Duration(i) * time.Second), Protocol: "imap", Client: "192.0.2.1", App: fmt.Sprint("app", i)})
	}
	if got := read(t, b, "ann@example.test"); len(got) != maxLines || got[0].App != fmt.Sprint("app", 3*maxLines-1) {
		t.Errorf("%d", len(got))
	}
	for i := range maxNoted + 10 {
		b.due(fmt.Sprint(i), noon)
	}
	if len(b.noted) > maxNoted {
		t.Errorf("%d", len(b.noted))
	}
	if err := os.WriteFile(b.path("big@example.test"), bytes.Repeat([]byte("- x\n"), maxFile), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Read("big@example.test"); err == nil {
		t.Error("a file without end was read")
	}
	b.Note("big@example.test", Login{Time: noon, Protocol: "imap", Client: "192.0.2.1"})
	if len(read(t, b, "big@example.test")) != 1 {
		t.Error("a damaged file stays")
	}
}

// No name leads out of the directory, and no two have one file.
func TestFileNames(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{
		"ann@example.test", `"../../etc/passwd"@example.test`, `"a/b"@example.test`, `".."@example.test`, "..", ".", "é@example.test", "%C3%A9@example.test",
		strings.Repeat("é", 32) + "@" + strings.Repeat("a.", 100) + "test", strings.Repeat("é", 32) + "@" + strings.Repeat("a.", 100) + "test2",
		"a\x00b@example.test", `"a b"@example.test`,
	} {
		f := fileName(name)
		if len(f) > 255 || strings.ContainsAny(f, "/\\\x00 \"") || strings.HasPrefix(f, ".") || f == "" {
			t.Errorf("%q: %q", name, f)
		}
		if seen[f] != "" {
			t.Errorf("%q and %q: %q", name, seen[f], f)
		}
		seen[f] = name
	}
	if f := fileName("ann+x@example.test"); f != "ann+x@example.test" {
		t.Error(f)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("- 2026-11-22T12:00:00Z imap 192.0.2.1\nphone 2026-11-22T12:00:00Z pop3 2001:db8::1\n"))
	f.Add([]byte("x\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := parseLogins(text)
		if err != nil {
			return
		}
		again, err := parseLogins(formatLogins(all))
		if err != nil || len(again) != len(all) {
			t.Errorf("%v, %v", again, err)
		}
	})
}
