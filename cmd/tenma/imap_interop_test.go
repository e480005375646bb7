//go:build interop

package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// imapBox is a relay that serves ann@ours.test's mailbox by IMAP, with STARTTLS
// and with TLS from the start, and takes her mail for submission.
type imapBox struct {
	*relayd
	bin, starttls, tls, submission string // addresses are host:port
	cert                           string // the file of the certificate
}

func startIMAP(t *testing.T) *imapBox {
	t.Helper()
	dir := t.TempDir()
	b := &imapBox{
		bin: binary(t), starttls: freePort(t, "127.0.0.1"), tls: freePort(t, "127.0.0.1"), submission: freePort(t, "127.0.0.1"),
		cert: filepath.Join(dir, "data", "self-signed.crt"),
	}
	b.relayd = startRelay(t, b.bin, dir, freePort(t, "127.0.0.1"), fmt.Sprintf(`[[listen]]
protocol = "imap"
address = %q
tls = "starttls"
[[listen]]
protocol = "imap"
address = %q
tls = "implicit"
[[listen]]
protocol = "smtp"
address = %q
tls = "starttls"
auth = "required"
[[domain]]
name = "ours.test"
`, b.starttls, b.tls, b.submission))
	b.user("ann@ours.test")
	return b
}

// user makes an account; all have the same password.
func (b *imapBox) user(name string) {
	b.t.Helper()
	add := exec.Command(b.bin, "user", "add", name, "-c", b.conf)
	add.Stdin = strings.NewReader(annsPassword + "\n")
	if out, err := add.CombinedOutput(); err != nil {
		b.t.Fatalf("user add: %v\n%s", err, out)
	}
}

// reader is a client of ours, which shows what is in a mailbox octet by octet.
type reader struct {
	net.Conn
	t   *testing.T
	in  *bufio.Reader
	tag int
}

// login connects as name, with TLS whose certificate is verified.
func (b *imapBox) login(t *testing.T, name string) *reader {
	t.Helper()
	pem, err := os.ReadFile(b.cert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	nc, err := tls.Dial("tcp", b.tls, &tls.Config{RootCAs: roots, ServerName: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	c := &reader{Conn: nc, t: t, in: bufio.NewReaderSize(nc, 64<<10)}
	c.response()
	c.ask("LOGIN %s %q", name, annsPassword)
	return c
}

var literal = regexp.MustCompile(`\{(\d+)\}\r\n$`)

// response reads one response, its literals in it.
func (c *reader) response() string {
	c.t.Helper()
	_ = c.SetDeadline(time.Now().Add(patience))
	var all []byte
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			c.t.Fatalf("IMAP: %v behind %q", err, all)
		}
		all = append(all, line...)
		m := literal.FindSubmatch(line)
		if m == nil {
			return string(all)
		}
		n, _ := strconv.Atoi(string(m[1]))
		from := len(all)
		all = append(all, make([]byte, n)...)
		if _, err := io.ReadFull(c.in, all[from:]); err != nil {
			c.t.Fatalf("IMAP: %v in a literal", err)
		}
	}
}

// ask says a command, which must be done, and gives the responses before the
// tagged one.
func (c *reader) ask(format string, args ...any) (untagged []string) {
	c.t.Helper()
	c.tag++
	fmt.Fprintf(c, "t%d %s\r\n", c.tag, fmt.Sprintf(format, args...))
	return c.until(fmt.Sprintf("t%d ", c.tag), fmt.Sprintf(format, args...))
}

func (c *reader) until(tag, command string) (untagged []string) {
	c.t.Helper()
	for {
		r := c.response()
		if rest, tagged := strings.CutPrefix(r, tag); tagged {
			if !strings.HasPrefix(rest, "OK") {
				c.t.Fatalf("%.200s: %s", command, r)
			}
			return untagged
		}
		untagged = append(untagged, r)
	}
}

// wait reads until a response matches, and gives it.
func (c *reader) wait(pattern string) string {
	c.t.Helper()
	for re := regexp.MustCompile(pattern); ; {
		if r := c.response(); re.MatchString(r) {
			return r
		}
	}
}

// add appends messages, without waiting for each.
func (c *reader) add(folder string, messages ...kept) {
	c.t.Helper()
	sent := make(chan error, 1)
	go func() {
		w := bufio.NewWriter(c)
		for i, m := range messages {
			fmt.Fprintf(w, "a%d APPEND %q (%s) {%d+}\r\n%s\r\n", i, folder, m.flags, len(m.text), m.text)
		}
		sent <- w.Flush()
	}()
	for i := range messages {
		c.until(fmt.Sprintf("a%d ", i), "APPEND")
	}
	if err := <-sent; err != nil {
		c.t.Fatal(err)
	}
}

// kept is a message as somebody keeps it: with CRLF, and its flags in IMAP's
// words, in order.
type kept struct {
	uid         int
	flags, text string
}

var fetched = regexp.MustCompile(`(?s)^\* \d+ FETCH \(UID (\d+) FLAGS \(([^)]*)\) BODY\[\] \{\d+\}\r\n(.*)\)\r\n$`)

// messages are those of a folder, in order of UID.
func (c *reader) messages(folder string) (all []kept) {
	c.t.Helper()
	c.ask("EXAMINE %q", folder)
	for _, r := range c.ask("UID FETCH 1:* (FLAGS BODY.PEEK[])") {
		m := fetched.FindStringSubmatch(r)
		if m == nil {
			c.t.Fatalf("not understood: %.200q", r)
		}
		uid, _ := strconv.Atoi(m[1])
		all = append(all, kept{uid, inOrder(m[2]), m[3]})
	}
	return all
}

// inOrder sorts flags, and leaves those out that are the session's.
func inOrder(flags string) string {
	list := slices.DeleteFunc(strings.Fields(flags), func(f string) bool { return f == `\Recent` })
	slices.Sort(list)
	return strings.Join(list, " ")
}

// folders are the names of those that can be selected, as they stand on the wire.
func (c *reader) folders() (names []string) {
	c.t.Helper()
	for _, r := range c.ask(`LIST "" "*"`) {
		if !strings.HasPrefix(r, "* LIST ") || strings.Contains(strings.ToLower(r), `\noselect`) {
			continue
		}
		_, name, _ := strings.Cut(strings.TrimSpace(r), `"/" `)
		names = append(names, strings.Trim(name, `"`))
	}
	slices.Sort(names)
	return names
}

// imapLetter is a generated message with that number: some are long, some in UTF-8,
// some of several parts; all have lines with dots.
func imapLetter(n int) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: Writer %d <w%d@far.test>\r\nTo: ann@ours.test\r\nSubject: letter %d\r\nDate: %s\r\nMessage-ID: <letter-%d@far.test>\r\nMIME-Version: 1.0\r\n",
		n%17, n%17, n, time.Unix(1_700_000_000+int64(n)*3600, 0).UTC().Format(time.RFC1123Z), n)
	switch n % 5 {
	case 1:
		fmt.Fprintf(&b, "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\ngrüße %d\r\n日本語\r\n", n)
	case 2:
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=\"b%d\"\r\n\r\npreamble\r\n--b%d\r\n\r\none\r\n--b%d\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n%s\r\n--b%d--\r\n",
			n, n, n, strings.Repeat("QUJD", 18), n)
	case 3:
		fmt.Fprintf(&b, "\r\n%s\r\n", strings.Repeat(fmt.Sprintf("line of letter %d\r\n", n), 50+n%400))
	default:
		fmt.Fprintf(&b, "\r\n.\r\n..\r\nletter %d\r\n\r\n", n)
	}
	return b.String()
}

// realLetters are the real messages of the corpus.
func realLetters(t *testing.T) (texts []string) {
	t.Helper()
	files, err := filepath.Glob("../../relay/testdata/messages/*.*")
	if err != nil || len(files) < 20 {
		t.Fatalf("messages: %d, %v", len(files), err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, strings.ReplaceAll(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n", "\r\n"))
	}
	return texts
}

// TestInteropIMAPTwo has two sessions see each other's doings, and mail that comes
// in, while they are in IDLE and while they are not. The times are for the log:
// what must not take more than a second may on a machine that is busy with other
// things.
func TestInteropIMAPTwo(t *testing.T) {
	t.Parallel()
	b := startIMAP(t)
	one, two := b.login(t, "ann@ours.test"), b.login(t, "ann@ours.test")
	for _, c := range []*reader{one, two} {
		c.ask("SELECT INBOX")
	}
	one.add("INBOX", kept{text: imapLetter(1)}, kept{text: imapLetter(2), flags: `\Seen`})
	heard := strings.Join(two.ask("NOOP"), "")
	if !strings.Contains(heard, "* 2 EXISTS\r\n") {
		t.Errorf("of two messages the other session hears %q", heard)
	}
	one.ask("NOOP")
	one.ask(`STORE 1 +FLAGS (\Flagged $Later)`)
	heard = strings.Join(two.ask("NOOP"), "")
	if !regexp.MustCompile(`\* 1 FETCH \([^\r]*FLAGS \([^)]*\\Flagged[^)]*\$Later`).MatchString(heard) {
		t.Errorf("of flags the other session hears %q", heard)
	}
	two.ask(`STORE 2 +FLAGS.SILENT (\Deleted)`)
	two.ask("EXPUNGE")
	// No EXPUNGE in FETCH (RFC 9051 section 7.5.1).
	if heard = strings.Join(one.ask("FETCH 1 (UID)"), ""); strings.Contains(heard, "EXPUNGE") {
		t.Errorf("FETCH tells %q", heard)
	}
	if heard = strings.Join(one.ask("NOOP"), ""); !strings.Contains(heard, "* 2 EXPUNGE\r\n") {
		t.Errorf("of an expunge the other session hears %q", heard)
	}
	idle(t, b, one, two)
	b.term()
}

// idle measures how long it takes until a session in IDLE hears of something.
func idle(t *testing.T, b *imapBox, one, two *reader) {
	fmt.Fprintf(two, "idle IDLE\r\n")
	two.wait(`^\+ `)
	v, err := converse(b.smtp)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	slowest := map[string]time.Duration{}
	took := func(what, pattern string, do func()) {
		t.Helper()
		began := time.Now()
		do()
		two.wait(pattern)
		slowest[what] = max(slowest[what], time.Since(began))
	}
	for n := range 10 {
		took("delivery by SMTP", fmt.Sprintf(`^\* %d EXISTS`, n+2), func() {
			if _, err := v.send("x@far.test", "ann@ours.test", strings.ReplaceAll(strings.TrimSuffix(imapLetter(100+n), "\r\n"), "\r\n.", "\r\n..")); err != nil {
				t.Fatal(err)
			}
		})
		one.ask("NOOP")
		took("flags", fmt.Sprintf(`^\* %d FETCH .*\\Answered`, n+2), func() { one.ask(`STORE %d +FLAGS (\Answered)`, n+2) })
	}
	for n := range 10 {
		one.ask(`STORE 1 +FLAGS (\Deleted)`)
		took("expunge", `^\* 1 EXPUNGE`, func() { one.ask("EXPUNGE") })
		took("APPEND", fmt.Sprintf(`^\* %d EXISTS`, 11), func() { one.add("INBOX", kept{text: imapLetter(200 + n)}) })
	}
	fmt.Fprintf(two, "DONE\r\n")
	two.until("idle ", "IDLE")
	for what, d := range slowest {
		t.Logf("IDLE hears of %s within %v (slowest of 10)", what, d.Round(100*time.Microsecond))
	}
}
