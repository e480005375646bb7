//go:build interop

package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// popBox is ann@ours.test's mailbox behind a relay that serves POP3, with
// STARTTLS and with TLS from the start.
type popBox struct {
	*relayd
	starttls, tls, cert string // host:port, and the file of the certificate
	sent                int
}

const annsPassword = "correct horse"

func startPOP3(t *testing.T) *popBox {
	t.Helper()
	dir, bin := t.TempDir(), binary(t)
	b := &popBox{starttls: freePort(t, "127.0.0.1"), tls: freePort(t, "127.0.0.1"), cert: filepath.Join(dir, "data", "self-signed.crt")}
	b.relayd = startRelay(t, bin, dir, freePort(t, "127.0.0.1"), fmt.Sprintf(`[[listen]]
protocol = "pop3"
address = %q
tls = "starttls"
[[listen]]
protocol = "pop3"
address = %q
tls = "implicit"
[[domain]]
name = "ours.test"
`, b.starttls, b.tls))
	add := exec.Command(bin, "user", "add", "ann@ours.test", "-c", b.conf)
	add.Stdin = strings.NewReader(annsPassword + "\n")
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("user add: %v\n%s", err, out)
	}
	return b
}

// port is that of an address of 127.0.0.1, which clients are told as localhost:
// the name in the certificate.
func port(addr string) string {
	_, p, _ := net.SplitHostPort(addr)
	return p
}

// text is the body of the message with that number: lines with dots, a long one,
// and one without ASCII.
func popText(n int) string {
	return fmt.Sprintf("Subject: message %d\r\nFrom: x@far.test\r\n\r\n.\r\n..dots\r\n%s\r\ngrüße %d\r\n", n, strings.Repeat("long", 200), n)
}

// deliver sends n more messages and returns when they are all in the mailbox,
// which then has want.
func (b *popBox) deliver(n, want int) {
	b.t.Helper()
	v, err := converse(b.smtp)
	if err != nil {
		b.t.Fatal(err)
	}
	defer v.Close()
	for range n {
		b.sent++
		body := strings.ReplaceAll(popText(b.sent), "\r\n.", "\r\n..")
		if _, err := v.send("x@far.test", "ann@ours.test", strings.TrimSuffix(body, "\r\n")); err != nil {
			b.t.Fatal(err)
		}
	}
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		have := b.count()
		if have == want {
			return
		}
		if time.Now().After(end) {
			b.t.Fatalf("%d messages in the mailbox, want %d\n%s", have, want, b.out)
		}
	}
}

// count is how many messages a login finds.
func (b *popBox) count() (n int) {
	b.t.Helper()
	nc, err := tls.Dial("tcp", b.tls, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		b.t.Fatal(err)
	}
	c := textproto.NewConn(nc)
	defer c.Close()
	var last string
	for _, say := range []string{"", "USER ann@ours.test", "PASS " + annsPassword, "STAT", "QUIT"} {
		if say != "" {
			_ = c.PrintfLine("%s", say)
		}
		line, err := c.ReadLine()
		if err != nil || !strings.HasPrefix(line, "+OK") {
			b.t.Fatalf("%q: %q, %v", say, line, err)
		}
		if say == "QUIT" {
			_, _ = fmt.Sscanf(last, "+OK %d ", &n)
		}
		last = line
	}
	return n
}

// wantMail checks that mail, as a client has kept it, is the messages with
// these numbers, each once and whole.
func wantMail(t *testing.T, mail string, numbers ...int) {
	t.Helper()
	mail = strings.ReplaceAll(mail, "\r\n", "\n")
	if n := strings.Count(mail, "Subject: message "); n != len(numbers) {
		t.Errorf("%d messages, want those with the numbers %v:\n%s", n, numbers, mail)
	}
	for _, n := range numbers {
		body := strings.ReplaceAll(popText(n)[strings.Index(popText(n), "\r\n\r\n"):], "\r\n", "\n")
		if strings.Count(mail, fmt.Sprintf("Subject: message %d\n", n)) != 1 || strings.Count(mail, body) != 1 {
			t.Errorf("message %d did not arrive once and whole:\n%s", n, mail)
		}
	}
}

// numberOf is which of the messages mail is, 0 if it cannot be told. Mail that
// arrives together is stored together, in whatever order the deliveries end: its
// place in the mailbox does not tell.
func numberOf(mail string) (n int) {
	if _, after, ok := strings.Cut(mail, "Subject: message "); ok {
		_, _ = fmt.Sscan(after, &n)
	}
	return n
}

// upTo are the numbers from first to last.
func upTo(first, last int) (n []int) {
	for i := first; i <= last; i++ {
		n = append(n, i)
	}
	return n
}

// TestInteropPOP3 lets the programs that people fetch mail with do so.
func TestInteropPOP3(t *testing.T) {
	t.Parallel()
	b := startPOP3(t)
	b.deliver(20, 20)
	t.Run("curl", func(t *testing.T) { curlPOP3(t, b) })
	t.Run("poplib", func(t *testing.T) { poplib(t, b) })
	t.Run("fetchmail", func(t *testing.T) { fetchmail(t, b) })
	t.Run("getmail", func(t *testing.T) { getmail(t, b) })
	b.term()
}

// curlPOP3 lists and reads, by both ways of TLS, and gets nowhere without TLS or with a wrong password.
func curlPOP3(t *testing.T, b *popBox) {
	curl := func(password string, args ...string) (string, int) {
		cmd := exec.Command("curl", append([]string{"-sS", "--cacert", b.cert, "--user", "ann@ours.test:" + password}, args...)...)
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}
	secure, start := "pop3s://localhost:"+port(b.tls)+"/", "pop3://localhost:"+port(b.starttls)+"/"
	if out, code := curl(annsPassword, secure); code != 0 || strings.Count(out, "\n") != 20 {
		t.Errorf("list, %d:\n%s", code, out)
	}
	var read []int
	for _, args := range [][]string{{secure + "1"}, {"--ssl-reqd", start + "20"}} {
		out, code := curl(annsPassword, args...)
		if code != 0 {
			t.Errorf("%v, %d:\n%s", args, code, out)
		}
		read = append(read, numberOf(out))
		wantMail(t, out, read[len(read)-1])
	}
	if read[0] == read[1] {
		t.Errorf("the first and the last message are both number %d", read[0])
	}
	const loginDenied = 67
	if out, code := curl(annsPassword, start); code != loginDenied {
		t.Errorf("without TLS, %d:\n%s", code, out)
	}
	if out, code := curl("wrong", secure); code != loginDenied {
		t.Errorf("with a wrong password, %d:\n%s", code, out)
	}
}

// poplib is Python's: every call that it has, and sizes to the octet.
func poplib(t *testing.T, b *popBox) {
	script := fmt.Sprintf(`
import poplib, ssl
context = ssl.create_default_context(cafile=%q)
p = poplib.POP3("localhost", %s)
assert "STLS" in p.capa() and "USER" not in p.capa()
p.stls(context)
p.utf8()
p.user("ann@ours.test")
p.pass_(%q)
count, octets = p.stat()
assert count == 20
sizes = [int(l.split()[1]) for l in p.list()[1]]
assert sum(sizes) == octets
uids = [l.split()[1] for l in p.uidl()[1]]
assert len(set(uids)) == 20
for n in range(1, 21):
    lines = p.retr(n)[1]
    assert sum(len(l) + 2 for l in lines) == sizes[n - 1], n
    assert p.top(n, 1)[1][-1] == b".", n
p.dele(1)
p.rset()
p.noop()
p.dele(2)
p.close()
p = poplib.POP3_SSL("localhost", %s, context=context)
p.user("ann@ours.test")
p.pass_(%q)
assert p.stat() == (count, octets)
assert [l.split()[1] for l in p.uidl()[1]] == uids
p.quit()
`, b.cert, port(b.starttls), annsPassword, port(b.tls), annsPassword)
	if out, err := exec.Command("/usr/bin/python3", "-c", script).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// fetchmail leaves the mail where it is and does not fetch it again; then it
// takes it away.
func fetchmail(t *testing.T, b *popBox) {
	dir := t.TempDir()
	box, rc := filepath.Join(dir, "box"), filepath.Join(dir, "rc")
	var said string
	poll := func(transport, keep string) int {
		t.Helper()
		_ = os.Remove(box)
		text := fmt.Sprintf(`poll localhost protocol pop3 uidl auth password timeout 90 %s
user "ann@ours.test" password %q sslcertck sslcertfile %q %s mda "cat >> %s"
`, transport, annsPassword, b.cert, keep, box)
		if err := os.WriteFile(rc, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("fetchmail", "-f", rc, "--idfile", filepath.Join(dir, "ids"), "--pidfile", filepath.Join(dir, "pid"), "--invisible", "--nosyslog")
		cmd.Env = append(slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "HOME=") }), "HOME="+dir)
		out, _ := cmd.CombinedOutput()
		said = string(out)
		if code := cmd.ProcessState.ExitCode(); code > 1 {
			t.Fatalf("fetchmail, %d:\n%s\n%s", code, out, b.out)
		}
		return cmd.ProcessState.ExitCode()
	}
	fetched := func() string { text, _ := os.ReadFile(box); return string(text) }
	const some, none = 0, 1 // fetchmail's exit codes
	starttls, implicit := "port "+port(b.starttls), "port "+port(b.tls)
	if poll(starttls, `keep sslproto "tls1.2+"`) != some {
		t.Errorf("nothing was fetched:\n%s", said)
	}
	wantMail(t, fetched(), upTo(1, 20)...)
	if poll(implicit, "keep ssl") != none {
		t.Errorf("fetched again: %s", fetched())
	}
	b.deliver(1, 21)
	if poll(implicit, "keep ssl") != some {
		t.Errorf("the new message was not fetched:\n%s", said)
	}
	wantMail(t, fetched(), 21)
	b.deliver(4, 25)
	if poll(starttls, `nokeep sslproto "tls1.2+"`) != some {
		t.Errorf("nothing was taken away:\n%s", said)
	}
	wantMail(t, fetched(), upTo(22, 25)...)
	if poll(implicit, "nokeep fetchall ssl") != some || b.count() != 0 {
		t.Errorf("%d messages are left:\n%s", b.count(), said)
	}
	wantMail(t, fetched(), upTo(1, 21)...)
}

// getmail does the same.
func getmail(t *testing.T, b *popBox) {
	b.deliver(10, 10)
	first := b.sent - 9
	dir := t.TempDir()
	box := filepath.Join(dir, "box")
	text := fmt.Sprintf(`[retriever]
type = SimplePOP3SSLRetriever
server = localhost
port = %s
username = ann@ours.test
password = %s
ca_certs = %s
[destination]
type = MDA_external
path = /usr/bin/tee
arguments = ("-a", %q)
allow_root_commands = true
unixfrom = false
[options]
read_all = false
delivered_to = false
received = false
verbose = 1
`, port(b.tls), annsPassword, b.cert, box)
	if err := os.WriteFile(filepath.Join(dir, "getmailrc"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		_ = os.Remove(box)
		out, err := exec.Command("getmail", append([]string{"--getmaildir", dir}, args...)...).CombinedOutput()
		if err != nil || strings.Contains(string(out), "error") {
			t.Fatalf("getmail: %v\n%s\n%s", err, out, b.out)
		}
		mail, _ := os.ReadFile(box)
		return string(mail)
	}
	wantMail(t, run("--dont-delete"), upTo(first, b.sent)...)
	wantMail(t, run("--dont-delete"))
	b.deliver(1, 11)
	wantMail(t, run("--dont-delete"), b.sent)
	wantMail(t, run("--delete", "--all"), upTo(first, b.sent)...)
	if n := b.count(); n != 0 {
		t.Errorf("%d messages are left", n)
	}
}
