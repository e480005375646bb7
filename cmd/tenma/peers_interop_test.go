//go:build interop

package main

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A peer is a foreign server that a test started: its own folder, its own
// configuration, its own ports, its own process group, gone with the test.
type peer struct {
	dir string // readable to the unprivileged users that such servers become
	log string // where it writes what it did
}

// newPeer makes the folder of a peer. It is not t.TempDir, which only root may enter.
func newPeer(t *testing.T) *peer {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "peer") // whatever TMPDIR says: sockets in there must have short names
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p := &peer{dir: dir, log: filepath.Join(dir, "log")}
	p.write(t, "log", "")
	if err := os.Chmod(p.log, 0o666); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *peer) write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// mkdir makes a folder that belongs to user.
func (p *peer) mkdir(t *testing.T, name, user string) string {
	t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("chown", user, path).CombinedOutput(); err != nil {
		t.Fatalf("chown: %s", out)
	}
	return path
}

// certificate writes a self-signed one for names, and its key.
func (p *peer) certificate(t *testing.T, names ...string) (cert, key string) {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert = p.write(t, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	key = p.write(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
	if err := os.Chmod(key, 0o600); err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// run starts the server, which must stay in the foreground, and waits until it
// greets at addr. When the test ends it is asked to stop, and then its group is
// killed.
func (p *peer) run(t *testing.T, addr string, args ...string) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	cmd.WaitDelay = time.Second // its children may hold the pipe
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		stuck := time.AfterFunc(patience, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
		cmd.Wait()
		stuck.Stop()
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		if t.Failed() {
			log, _ := os.ReadFile(p.log)
			t.Logf("%s said:\n%s%s", args[0], out.String(), log[max(0, len(log)-6000):])
		}
	})
	greets(t, addr, args[0])
}

// greets waits until a server greets at addr.
func greets(t *testing.T, addr, name string) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if v, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
			v.SetDeadline(time.Now().Add(patience))
			n, _ := v.Read(make([]byte, 4))
			v.Close()
			if n > 0 {
				return
			}
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not greet at %s", name, addr)
		}
	}
}

// logged waits until the peer's log has a match of the expression.
func (p *peer) logged(t *testing.T, expression string) []string {
	t.Helper()
	re := regexp.MustCompile(expression)
	var m []string
	found := func() bool {
		log, err := os.ReadFile(p.log)
		m = re.FindStringSubmatch(string(log))
		return err == nil && m != nil
	}
	if !await(t, patience, found, p.log) {
		t.Fatalf("nothing like %s in the log", expression)
	}
	return m
}

// A maildir is a folder in which a peer puts what it got, one file a message,
// with LF at the ends of lines.
type maildir string

// take waits until n messages are there, gives them and removes them; then no
// more than n may be there.
func (m maildir) take(t *testing.T, n int) []string {
	t.Helper()
	var files []string
	await(t, patience, func() bool {
		files, _ = filepath.Glob(filepath.Join(string(m), "new", "*"))
		return len(files) >= n
	}, filepath.Join(string(m), "new"))
	var messages []string
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, string(b))
		os.Remove(f)
	}
	if len(files) != n {
		t.Errorf("%d messages in %s, not %d:\n%.20000q", len(files), m, n, messages)
	}
	return messages
}

// specimen is a message to hand on, with CRLF, its last line ended.
type specimen struct{ name, text string }

// specimens are what next hops tend to damage.
func specimens() []specimen {
	const head = "From: <a@src.test>\r\nTo: <b@dst.test>\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@src.test>\r\nSubject: x\r\n"
	const eight = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
	return []specimen{
		{"small", head + "\r\nHello.\r\n"},
		{"no body", head + "\r\n"},
		{"8-bit", head + eight + "\r\nGrüße aus 東京\r\n"},
		// RFC 5321 section 4.5.3.1.6: 1000 octets with the CRLF.
		{"long lines", head + "\r\n" + strings.Repeat(strings.Repeat("x", 998)+"\r\n", 20) + "." + strings.Repeat("y", 996) + "\r\n"},
		{"dots", head + "\r\n.\r\n..\r\n.a\r\n...\r\n\r\n.\r\nFrom here\r\n>From there\r\n \t\r\n.\r\n"},
		{"blank lines", head + "\r\n\r\n\r\nText\r\n\r\n\r\n"},
		{"1 MiB", head + "\r\n" + strings.Repeat(strings.Repeat("0123456789abcdef", 4)[:62]+"\r\n", 1<<14)},
	}
}

// whole fails the test unless the message that arrived ends with what was sent,
// behind trace fields only.
func whole(t *testing.T, got, sent string) {
	t.Helper()
	want := strings.ReplaceAll(sent, "\r\n", "\n")
	prefix, ok := strings.CutSuffix(got, want)
	if !ok {
		t.Errorf("arrived changed, %d octets for %d: %q\nwant the end to be %q", len(got), len(want), tail(got), tail(want))
		return
	}
	if !strings.Contains(prefix, "by relay.test ") {
		t.Errorf("no Received of ours in front: %q", prefix)
	}
	for line := range strings.Lines(prefix) {
		name, _, _ := strings.Cut(line, ":")
		switch name {
		case "Return-Path", "Delivered-To", "X-Original-To", "Envelope-to", "Return-path", "Delivery-date", "Received":
		default:
			if line[0] != ' ' && line[0] != '\t' {
				t.Errorf("in front of the message stands %q", line)
			}
		}
	}
}

// submit hands in one message to the relay and gives the queue id of the final reply.
func (v *conversation) submit(t *testing.T, from string, to []string, body string) string {
	t.Helper()
	reply := v.hand(t, from, to, body)
	m := queuedID.FindStringSubmatch(reply)
	if m == nil {
		t.Fatalf("no queue id in %q", reply)
	}
	return m[1]
}

// hand hands in one message with parameters of ESMTP behind the addresses, and
// gives the final reply.
func (v *conversation) hand(t *testing.T, from string, to []string, body string) string {
	t.Helper()
	if _, err := v.ask("MAIL FROM:" + from + "\r\n"); err != nil {
		t.Fatalf("MAIL %s: %v", from, err)
	}
	for _, r := range to {
		if _, err := v.ask("RCPT TO:" + r + "\r\n"); err != nil {
			t.Fatalf("RCPT %s: %v", r, err)
		}
	}
	if _, err := v.ask("DATA\r\n"); err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(body, ".") {
		body = "." + body
	}
	reply, err := v.ask(strings.ReplaceAll(body, "\r\n.", "\r\n..") + ".\r\n")
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

var queuedID = regexp.MustCompile(`250 2\.0\.0 .*\b([0-9A-V]{26})\b`)

// report is a DSN as Python's email package reads it.
type report struct {
	Type, ReportType string
	Defects          []string
	From, To         string
	Subject          string
	Auto             string `json:"auto_submitted"`
	Date             string
	Received         []string            // the dates of the Received fields, ISO 8601
	Parts            []string            // media types
	Message          map[string]string   // fields of the message part of delivery-status
	Recipients       []map[string]string // fields for each recipient
	Returned         map[string]string   // header of what is returned
	ReturnedBody     string              `json:"returned_body"`
	Text             string
}

const pythonReport = `
import sys, json, email, email.policy, email.utils
m = email.message_from_binary_file(sys.stdin.buffer, policy=email.policy.default)
low = lambda p: {k.lower(): str(v) for k, v in p.items()}
dates = [email.utils.parsedate_to_datetime(r.rsplit(";", 1)[1].strip()).isoformat() for r in m.get_all("Received", [])]
parts = list(m.iter_parts()) if m.is_multipart() else []
r = {"type": m.get_content_type(), "reporttype": m.get_param("report-type") or "",
  "defects": [repr(d) for p in m.walk() for d in p.defects] + [k + ": " + repr(d) for p in m.walk() for k, v in p.items() for d in getattr(v, "defects", ())],
  "from": str(m["From"]), "to": str(m["To"]), "subject": str(m["Subject"]), "auto_submitted": str(m["Auto-Submitted"]),
  "date": m["Date"].datetime.isoformat(), "received": dates, "parts": [p.get_content_type() for p in parts],
  "message": {}, "recipients": [], "returned": {}, "text": "", "returned_body": ""}
if len(parts) > 1 and parts[1].get_content_type() in ("message/delivery-status", "message/global-delivery-status"):
    r["text"] = parts[0].get_content()
    blocks = parts[1].get_payload()
    if not isinstance(blocks, list):
        blocks = [email.message_from_string(b, policy=email.policy.default) for b in parts[1].get_content().decode().strip().split("\n\n")]
    r["message"] = low(blocks[0])
    r["recipients"] = [low(b) for b in blocks[1:] if len(b.items())]
if len(parts) > 2:
    p = parts[2]
    if p.get_content_type() in ("message/rfc822", "message/global"):
        i = p.get_content()
        i = i if hasattr(i, "items") else email.message_from_bytes(i, policy=email.policy.default)
        r["returned"], r["returned_body"] = low(i), str(i.get_payload())
    else:
        t = p.get_content()
        r["returned"] = low(email.message_from_string(t if isinstance(t, str) else t.decode(), policy=email.policy.default))
json.dump(r, sys.stdout)
`

// parse lets Python's email package read a message.
func parse(t *testing.T, message string) report {
	t.Helper()
	python := exec.Command("/usr/bin/python3", "-c", pythonReport)
	python.Stdin = strings.NewReader(message)
	var out, trouble bytes.Buffer
	python.Stdout, python.Stderr = &out, &trouble
	if err := python.Run(); err != nil {
		t.Fatalf("python: %v\n%s\n%s", err, trouble.String(), message)
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Defects) > 0 {
		t.Errorf("python finds defects: %v\n%s", r.Defects, message)
	}
	return r
}
