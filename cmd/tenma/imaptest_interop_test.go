//go:build interop

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// notServed are the groups of ImapTest for what IMAP may offer and this server does
// not: messages that are put together from others, several in one APPEND, events
// of mailboxes that are not open, and links to messages for third parties.
var notServed = []string{"catenate", "catenate-multiappend", "multiappend", "notify", "urlauth", "urlauth-binary", "urlauth2"}

// imapTester is Dovecot's ImapTest against a relay with ann's and bob's mailboxes.
type imapTester struct {
	*relayd
	program, imap string
	caps          []string // what ann is offered
}

func startImapTest(t *testing.T) *imapTester {
	t.Helper()
	program := os.Getenv("IMAPTEST")
	if program == "" {
		t.Skip("IMAPTEST does not name Dovecot's imaptest, which no distribution packages: bench/README.md tells how to build it")
	}
	dir, bin := t.TempDir(), binary(t)
	i := &imapTester{program: program, imap: freePort(t, "127.0.0.1")}
	i.relayd = startRelay(t, bin, dir, freePort(t, "127.0.0.1"), fmt.Sprintf("[[listen]]\nprotocol = \"imap\"\naddress = %q\ntls = \"implicit\"\n[[domain]]\nname = \"ours.test\"\n", i.imap))
	for _, who := range []string{"ann", "bob"} {
		add := exec.Command(bin, "user", "add", who+"@ours.test", "-c", i.conf)
		add.Stdin = strings.NewReader(annsPassword + "\n")
		if out, err := add.CombinedOutput(); err != nil {
			t.Fatalf("user add: %v\n%s", err, out)
		}
	}
	for end := time.Now().Add(patience); i.caps == nil; time.Sleep(100 * time.Millisecond) {
		i.caps = i.login("bob") // the last that was added
		if time.Now().After(end) {
			t.Fatalf("the relay does not know bob\n%s", i.out)
		}
	}
	return i
}

// tests is where the scripts lie.
func (i *imapTester) tests() string { return filepath.Join(filepath.Dir(i.program), "tests") }

func (i *imapTester) run(args ...string) string {
	i.t.Helper()
	ctx, cancel := context.WithTimeout(i.t.Context(), 5*time.Minute)
	defer cancel()
	args = append([]string{
		"host=127.0.0.1", "port=" + port(i.imap), "ssl=any-cert", "user=ann@ours.test", "user2=bob@ours.test",
		"pass=" + annsPassword, "mbox=" + filepath.Join(i.tests(), "default.mbox"),
	}, args...)
	cmd := exec.CommandContext(ctx, i.program, args...)
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH=/usr/lib/dovecot")
	cmd.Dir = i.t.TempDir()
	out, err := cmd.CombinedOutput()
	if err != nil {
		i.t.Errorf("imaptest %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// login gives what somebody is offered after a login, nil if it fails.
func (i *imapTester) login(who string) (caps []string) {
	i.t.Helper()
	nc, err := tls.Dial("tcp", i.imap, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		i.t.Fatal(err)
	}
	c := textproto.NewConn(nc)
	defer c.Close()
	_ = c.PrintfLine("a LOGIN %s@ours.test %q\r\nb CAPABILITY", who, annsPassword)
	for {
		line, err := c.ReadLine()
		if err != nil {
			i.t.Fatal(err)
		}
		if list, ok := strings.CutPrefix(line, "* CAPABILITY "); ok {
			caps = strings.Fields(list)
		}
		if strings.HasPrefix(line, "a NO") {
			return nil
		}
		if strings.HasPrefix(line, "b ") {
			return caps
		}
	}
}

// unserved are the groups that want what is not offered. ImapTest passes over them,
// and counts them as good.
func (i *imapTester) unserved() (groups []string) {
	i.t.Helper()
	files, err := os.ReadDir(i.tests())
	if err != nil {
		i.t.Fatal(err)
	}
	wants := regexp.MustCompile(`(?mi)^capabilities: *(.*)$`)
	for _, f := range files {
		if f.IsDir() || strings.HasSuffix(f.Name(), ".mbox") {
			continue
		}
		script, err := os.ReadFile(filepath.Join(i.tests(), f.Name()))
		if err != nil {
			i.t.Fatal(err)
		}
		m := wants.FindSubmatch(script)
		if m == nil {
			continue
		}
		for _, want := range strings.Fields(string(m[1])) {
			if !slices.ContainsFunc(i.caps, func(c string) bool { return strings.EqualFold(c, want) }) {
				groups = append(groups, f.Name())
				break
			}
		}
	}
	return groups
}

// quiet checks that the relay found nothing to complain about.
func (i *imapTester) quiet() {
	i.t.Helper()
	for line := range strings.Lines(i.out.String()) {
		if strings.Contains(line, "level=WARN") && strings.Contains(line, "unknown user") {
			continue // of the login that waited for bob
		}
		if strings.Contains(line, "level=ERROR") || strings.Contains(line, "level=WARN") || strings.Contains(line, "panic") {
			i.t.Errorf("the relay: %s", line)
		}
	}
}

// Dovecot's ImapTest runs its scripts: each pass, but for those that are named above.
func TestInteropImapTest(t *testing.T) {
	i := startImapTest(t)
	if got := i.unserved(); !slices.Equal(got, notServed) {
		t.Errorf("groups for which a capability is missing:\n%q, want\n%q", got, notServed)
	}
	out := i.run("test=" + i.tests())
	if !regexp.MustCompile(`(?m)^[1-9][0-9]* test groups: 0 failed`).MatchString(out) {
		t.Errorf("%s", out)
	}
	i.quiet()
}

// And its stress: many sessions that do anything to the same mailbox, each of which
// keeps account of what it was told and complains of what contradicts it.
func TestInteropImapTestStress(t *testing.T) {
	i := startImapTest(t)
	trouble := regexp.MustCompile(`(?m)^.*(Error|Warning|Panic|Fatal|BUG)\b.*$`)
	for _, args := range [][]string{{}, {"clients=50", "msgs=100"}, {"no_pipelining"}, {"clients=2"}, {"clients=1", "msgs=200"}} {
		out := i.run(append(args, "secs=20")...)
		if found := trouble.FindAllString(out, 20); found != nil {
			t.Errorf("%v:\n%s", args, strings.Join(found, "\n"))
		}
		if !strings.Contains(out, "Totals:") {
			t.Errorf("%v: no totals:\n%s", args, out)
		}
	}
	i.quiet()
}
