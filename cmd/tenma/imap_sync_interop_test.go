//go:build interop

package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// localMail is a tree of Maildirs: INBOX in the folder of that name, the others
// by their names, as they stand on the wire.
type localMail struct {
	t     *testing.T
	root  string
	names int
}

// maildirFlags are the letters of a Maildir, and what IMAP calls them.
var maildirFlags = map[byte]string{'D': `\Draft`, 'F': `\Flagged`, 'R': `\Answered`, 'S': `\Seen`, 'T': `\Deleted`}

// add writes a message, with LF as files have it.
func (m *localMail) add(folder, letters, text string) {
	m.t.Helper()
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(m.root, folder, sub), 0o700); err != nil {
			m.t.Fatal(err)
		}
	}
	m.names++
	name := fmt.Sprintf("cur/17%08d.%d.here:2,%s", m.names, m.names, letters)
	if letters == "new" {
		name = fmt.Sprintf("new/17%08d.%d.here", m.names, m.names)
	}
	if err := os.WriteFile(filepath.Join(m.root, folder, name), []byte(strings.ReplaceAll(text, "\r\n", "\n")), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// files are the messages of a folder.
func (m *localMail) files(folder string) (paths []string) {
	for _, sub := range []string{"cur", "new"} {
		in, _ := filepath.Glob(filepath.Join(m.root, folder, sub, "*"))
		paths = append(paths, in...)
	}
	return paths
}

// messages are those of a folder, as a server shows such.
func (m *localMail) messages(folder string) (all []kept) {
	m.t.Helper()
	for _, path := range m.files(folder) {
		text, err := os.ReadFile(path)
		if err != nil {
			m.t.Fatal(err)
		}
		var flags []string
		_, letters, _ := strings.Cut(filepath.Base(path), ":2,")
		for _, l := range []byte(letters) {
			flags = append(flags, maildirFlags[l])
		}
		all = append(all, kept{flags: inOrder(strings.Join(flags, " ")), text: strings.ReplaceAll(string(text), "\n", "\r\n")})
	}
	return all
}

// folders are the names of the Maildirs.
func (m *localMail) folders() (names []string) {
	_ = filepath.WalkDir(m.root, func(path string, e fs.DirEntry, _ error) error {
		if e.IsDir() && e.Name() == "cur" {
			name, _ := filepath.Rel(m.root, filepath.Dir(path))
			names = append(names, name)
		}
		return nil
	})
	slices.Sort(names)
	return names
}

// flag gives the file of a message other flags.
func (m *localMail) flag(path, letters string) {
	m.t.Helper()
	base, _, _ := strings.Cut(filepath.Base(path), ":2,")
	if err := os.Rename(path, filepath.Join(filepath.Dir(filepath.Dir(path)), "cur", base+":2,"+letters)); err != nil {
		m.t.Fatal(err)
	}
}

// mbsyncOwn is a field that mbsync writes into what it copies, to find the copy
// again.
var mbsyncOwn = regexp.MustCompile(`(?m)^X-TUID: [^\r\n]*\r\n`)

// wantSame checks that both sides have the same folders, and in each the same
// messages, octet by octet, with the same flags. own is what the client adds.
func wantSame(t *testing.T, c *reader, m *localMail, own *regexp.Regexp) (messages int) {
	t.Helper()
	if here, there := m.folders(), c.folders(); !slices.Equal(here, there) {
		t.Errorf("folders here %q, there %q", here, there)
	}
	for _, folder := range c.folders() {
		left := map[string]int{}
		for _, k := range c.messages(folder) {
			left[k.flags+"\n"+own.ReplaceAllString(k.text, "")]++
			messages++
		}
		for _, k := range m.messages(folder) {
			left[k.flags+"\n"+own.ReplaceAllString(k.text, "")]--
		}
		for text, n := range left {
			if n != 0 {
				t.Errorf("%s: %+d times more on the server: %.300q", folder, n, text)
			}
		}
	}
	return messages
}

// state is all that a sync without work must leave as it is: names of files, UIDs
// and mod-sequences.
func state(c *reader, m *localMail) (all []string) {
	for _, folder := range c.folders() {
		for _, r := range c.ask("STATUS %q (MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ)", folder) {
			if strings.HasPrefix(r, "* STATUS ") {
				all = append(all, r)
			}
		}
		all = append(all, m.files(folder)...)
	}
	return all
}

// TestInteropMbsync syncs 2,000 messages both ways between the relay and a Maildir,
// twice with changes on both sides, and once with nothing to do.
func TestInteropMbsync(t *testing.T) {
	t.Parallel()
	b := startIMAP(t)
	c := b.login(t, "ann@ours.test")
	dir := t.TempDir()
	m := &localMail{t: t, root: filepath.Join(dir, "mail")}
	rc := filepath.Join(dir, "mbsyncrc")
	if err := os.WriteFile(rc, []byte(fmt.Sprintf(`FSync no
IMAPStore far
Host localhost
Timeout 90
Port %s
User ann@ours.test
Pass %q
SSLType IMAPS
SystemCertificates no
CertificateFile %s

MaildirStore near
Path %s/
Inbox %s/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
Sync All
SyncState *
`, port(b.tls), annsPassword, b.cert, m.root, m.root)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(m.root, 0o700); err != nil {
		t.Fatal(err)
	}
	mbsync := func() {
		t.Helper()
		cmd := exec.Command("mbsync", "-c", rc, "all")
		cmd.Env = append(os.Environ(), "HOME="+dir)
		if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "arning") {
			t.Fatalf("mbsync: %v\n%.3000s\n%s", err, out, b.out)
		}
	}
	number := 0
	next := func() string { number++; return imapLetter(number) }
	grow := func(each int) {
		t.Helper()
		for _, folder := range []string{"INBOX", "Work", "Work/Deep/Deeper", "Entw&APw-rfe"} { // Entwürfe
			if folder != "INBOX" {
				c.ask("CREATE %q", folder)
			}
			var list []kept
			for n := range each {
				list = append(list, kept{text: next(), flags: []string{"", `\Seen`, `\Flagged \Seen`, `\Answered`}[n%4]})
			}
			c.add(folder, list...)
		}
		for _, folder := range []string{"INBOX", "Work", "Local", "Local/Gr&APwA3w-e"} { // Grüße
			for n := range each {
				m.add(folder, []string{"new", "S", "FS", "R"}[n%4], next())
			}
		}
	}
	grow(247)
	for i, text := range realLetters(t) {
		if i%2 == 0 {
			c.add("INBOX", kept{text: text})
		} else {
			m.add("INBOX", "S", text)
		}
	}
	mbsync()
	n := wantSame(t, c, m, mbsyncOwn)
	t.Logf("%d messages", n)
	if n < 2000 {
		t.Errorf("%d messages", n)
	}
	for round := range 2 {
		change(c, m, round)
		for _, folder := range []string{"INBOX", "Work"} {
			c.add(folder, kept{text: next()}, kept{text: next(), flags: `\Seen`})
			m.add(folder, "new", next())
			m.add(folder, "F", next())
		}
		m.add(fmt.Sprintf("Later %d", round), "S", next())
		mbsync()
		t.Logf("after changes: %d messages", wantSame(t, c, m, mbsyncOwn))
	}
	before := state(c, m)
	mbsync()
	if after := state(c, m); !reflect.DeepEqual(before, after) {
		t.Errorf("a sync without work changed something:\n%.2000q\n%.2000q", before, after)
	}
	b.term()
}

// change changes flags and deletes on both sides, never of the same messages.
func change(c *reader, m *localMail, round int) {
	for _, folder := range c.folders() {
		mine := map[string]bool{} // by subject
		for i, path := range m.files(folder) {
			if i%4 != round {
				continue
			}
			text, err := os.ReadFile(path)
			if err != nil {
				m.t.Fatal(err)
			}
			mine[subject(string(text))] = true
			switch i / 4 % 4 {
			case 0:
				m.flag(path, "FRS")
			case 1:
				m.flag(path, "")
			case 2:
				m.flag(path, "ST")
			case 3:
				if err := os.Remove(path); err != nil {
					m.t.Fatal(err)
				}
			}
		}
		var theirs [4][]string // UIDs
		for i, k := range c.messages(folder) {
			if !mine[subject(k.text)] && i%3 == 0 {
				theirs[i/3%4] = append(theirs[i/3%4], strconv.Itoa(k.uid))
			}
		}
		c.ask("SELECT %q", folder)
		for i, how := range []string{`FLAGS.SILENT (\Flagged \Answered)`, `-FLAGS (\Seen \Flagged)`, `+FLAGS (\Seen \Draft)`, `+FLAGS (\Deleted)`} {
			if len(theirs[i]) > 0 {
				c.ask("UID STORE %s %s", strings.Join(theirs[i], ","), how)
			}
		}
	}
}

var subjectField = regexp.MustCompile(`(?mi)^Message-ID:[^\r\n]*`)

// subject tells messages apart.
func subject(text string) string { return subjectField.FindString(text) }
