//go:build interop

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestInteropIMAPClients lets programs that people read mail with do what they do.
func TestInteropIMAPClients(t *testing.T) {
	t.Parallel()
	b := startIMAP(t)
	t.Run("imaplib", func(t *testing.T) {
		b.user("py@ours.test")
		out, err := exec.Command("/usr/bin/python3", "testdata/interop/imap.py", port(b.tls), annsPassword, b.cert, port(b.starttls)).CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("curl", func(t *testing.T) { curlIMAP(t, b) })
	t.Run("mutt", func(t *testing.T) { muttIMAP(t, b) })
	t.Run("offlineimap", func(t *testing.T) { offlineimap(t, b) })
	b.term()
	// One line in the log for a login, and only one.
	if logins, all := strings.Count(b.out.String(), "msg=login "), strings.Count(b.out.String(), "level=INFO"); logins < 4 || strings.Contains(b.out.String(), "imap login") {
		t.Errorf("%d of %d lines are logins:\n%s", logins, all, b.out)
	}
}

// curlIMAP uses each command that curl has, and -X for others; mail that it hands
// in for submission is there to be read.
func curlIMAP(t *testing.T, b *imapBox) {
	curl := func(args ...string) (string, int) {
		t.Helper()
		cmd := exec.Command("curl", append([]string{"-sS", "--cacert", b.cert, "--user", "ann@ours.test:" + annsPassword}, args...)...)
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}
	want := func(pattern string, args ...string) {
		t.Helper()
		if out, code := curl(args...); code != 0 || !regexp.MustCompile(pattern).MatchString(out) {
			t.Errorf("%q, %d: %q, want %q", args, code, out, pattern)
		}
	}
	secure, start := "imaps://localhost:"+port(b.tls)+"/", "imap://localhost:"+port(b.starttls)+"/"
	file := filepath.Join(t.TempDir(), "message")
	text := strings.Replace(imapLetter(1), "w1@far.test", "ann@ours.test", 1) // nobody hands in mail from others
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	want(`^\* LIST .* INBOX\r\n`, secure)
	want(`^\* LIST .* INBOX\r\n`, "--ssl-reqd", start)
	want("^$", "-T", file, secure+"INBOX")
	want("^$", "--ssl-reqd", "-T", file, start+"INBOX")
	want(`\* 2 EXISTS`, "-X", "EXAMINE INBOX", secure)
	want(`^\* SEARCH 1 2\r\n`, secure+"INBOX?SUBJECT%20letter")
	want(`^\* SEARCH\r\n`, secure+"INBOX?SUBJECT%20parcel")
	for _, url := range []string{secure + "INBOX;MAILINDEX=1", secure + "INBOX;UID=2"} {
		if out, code := curl(url); code != 0 || out != text {
			t.Errorf("%s, %d: %q", url, code, out)
		}
	}
	want(`^Subject: letter 1\r\n\r\n$`, secure+"INBOX;UID=2;SECTION=HEADER.FIELDS%20(SUBJECT)")
	want(`FLAGS \([^)]*\\Deleted`, "-X", `STORE 1 +FLAGS (\Deleted)`, secure+"INBOX")
	want(`\* 1 EXPUNGE`, "-X", "EXPUNGE", secure+"INBOX")
	want(`MESSAGES 1\b`, "-X", "STATUS INBOX (MESSAGES)", secure)
	const loginDenied = 67
	if out, code := curl(start); code != loginDenied {
		t.Errorf("without TLS, %d: %s", code, out)
	}
	submit := []string{"-v", "--ssl-reqd", "--mail-from", "ann@ours.test", "--mail-rcpt", "ann@ours.test", "-T", file, "smtp://localhost:" + port(b.submission)}
	want(`250 2\.0\.0 Ok: queued as`, submit...)
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if out, _ := curl("-X", "STATUS INBOX (MESSAGES)", secure); strings.Contains(out, "MESSAGES 2)") {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("what was handed in does not come\n%s", b.out)
		}
	}
	if out, code := curl(secure + "INBOX;MAILINDEX=2"); code != 0 || !strings.HasSuffix(out, text[strings.Index(text, "\r\n\r\n"):]) || !strings.Contains(out, "with ESMTPSA") {
		t.Errorf("what was handed in, %d: %q", code, out)
	}
}

// muttIMAP reads with mutt, which needs a terminal: some messages go to another
// folder, some are deleted, one gets a mark, and then the mailbox is synced.
func muttIMAP(t *testing.T, b *imapBox) {
	b.user("mutt@ours.test")
	c := b.login(t, "mutt@ours.test")
	var list []kept
	for n := range 10 {
		list = append(list, kept{text: imapLetter(n)})
	}
	c.add("INBOX", list...)
	c.ask("CREATE Kept")
	dir := t.TempDir()
	rc := filepath.Join(dir, "muttrc")
	url := "imaps://localhost:" + port(b.tls) + "/"
	if err := os.WriteFile(rc, []byte(fmt.Sprintf(`set imap_user="mutt@ours.test" imap_pass=%q folder=%q spoolfile="=INBOX"
set certificate_file=%q ssl_usesystemcerts=no ssl_verify_host=yes ssl_starttls=yes
set delete=yes confirmappend=no confirmcreate=no wait_key=no abort_key="" beep=no sort=mailbox-order mark_old=no
push "<tag-pattern>~s \"letter [123]$\"<enter><tag-prefix><save-message>=Kept<enter><untag-pattern>.<enter><delete-pattern>~s \"letter [56]$\"<enter><limit>~s \"letter 8$\"<enter><flag-message><limit>all<enter><sync-mailbox><change-folder>=Kept<enter><quit>"
`, annsPassword, url, b.cert)), 0o600); err != nil {
		t.Fatal(err)
	}
	// script gives it a terminal, and passes on how it ended. A timeout in a process
	// group of its own would leave mutt in the terminal's background, stopped for ever,
	// wherever the shell does not happen to replace itself by its last command.
	cmd := exec.Command("script", "-qec", "exec timeout --foreground -k 5 180 mutt -n -F "+rc, "/dev/null")
	cmd.Env = append(os.Environ(), "HOME="+dir, "TERM=vt100", "SHELL=/bin/sh")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("mutt: %v\n%.3000q\n%s", err, out, b.out)
	}
	subjects := func(folder string) (all []string) {
		for _, k := range c.messages(folder) {
			n := strings.Index(k.text, "Subject: letter ")
			if !slices.ContainsFunc(list, func(l kept) bool { return l.text == k.text }) {
				t.Errorf("%s has %q", folder, k.text)
			}
			mark := ""
			if strings.Contains(k.flags, `\Flagged`) {
				mark = "!"
			}
			all = append(all, k.text[n+len("Subject: letter "):][:1]+mark)
		}
		return all
	}
	if got := strings.Join(subjects("INBOX"), " "); got != "0 4 7 8! 9" {
		t.Errorf("INBOX has %s", got)
	}
	if got := strings.Join(subjects("Kept"), " "); got != "1 2 3" {
		t.Errorf("Kept has %s", got)
	}
}

// offlineimap syncs with a Maildir, twice.
func offlineimap(t *testing.T, b *imapBox) {
	b.user("off@ours.test")
	c := b.login(t, "off@ours.test")
	dir := t.TempDir()
	m := &localMail{t: t, root: filepath.Join(dir, "mail")}
	rc := filepath.Join(dir, "rc")
	if err := os.WriteFile(rc, []byte(fmt.Sprintf(`[general]
accounts = a
metadata = %s/meta
fsync = no
[Account a]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = %s
sep = /
[Repository far]
type = IMAP
remotehost = localhost
remoteport = %s
remoteuser = off@ours.test
remotepass = %s
ssl = yes
sslcacertfile = %s
auth_mechanisms = PLAIN, LOGIN
`, dir, m.root, port(b.tls), annsPassword, b.cert)), 0o600); err != nil {
		t.Fatal(err)
	}
	sync := func() {
		t.Helper()
		cmd := exec.Command("/usr/bin/offlineimap", "-c", rc, "-o", "-u", "basic")
		cmd.Env = append(os.Environ(), "HOME="+dir)
		if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "ERROR") {
			t.Fatalf("offlineimap: %v\n%.3000s\n%s", err, out, b.out)
		}
	}
	var list []kept
	for n := range 30 {
		list = append(list, kept{text: imapLetter(n), flags: []string{"", `\Seen`}[n%2]})
	}
	c.add("INBOX", list...)
	c.ask("CREATE Work/Deep")
	c.add("Work/Deep", list[:5]...)
	sync()
	for n := range 10 {
		m.add("INBOX", "S", imapLetter(100+n))
	}
	for i, path := range m.files("INBOX")[:12] {
		switch i % 2 {
		case 0:
			m.flag(path, "FS")
		case 1:
			_ = os.Remove(path)
		}
	}
	c.add("Work/Deep", list[5:9]...)
	c.ask("SELECT Work/Deep")
	c.ask(`STORE 1:2 +FLAGS.SILENT (\Answered)`)
	c.ask(`STORE 3 +FLAGS.SILENT (\Deleted)`)
	c.ask("EXPUNGE")
	c.ask("UNSELECT")
	sync()
	sync()
	t.Logf("%d messages", wantSame(t, c, m, regexp.MustCompile(`(?m)^X-OfflineIMAP: [^\r\n]*\r\n`)))
}
