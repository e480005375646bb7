//go:build interop

package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"tenma/bench/internet"
	"tenma/dnscache/dnstest"
)

// TestInteropCorpus sends real messages with swaks, to several domains at once,
// through the relay to Postfix's smtp-sink. Each must arrive as it was, behind
// a trace header and two DKIM signatures that three foreign verifiers accept.
func TestInteropCorpus(t *testing.T) {
	t.Parallel()
	c := newCorpusTest(t)
	relay := startRelay(t, binary(t), c.dir, c.smtp, c.conf)
	files, err := filepath.Glob("../../relay/testdata/messages/*")
	if err != nil || len(files) < 20 {
		t.Fatalf("messages: %d, %v", len(files), err)
	}
	for _, f := range files {
		if filepath.Base(f) == "LICENSE" {
			continue
		}
		t.Run(filepath.Base(f), func(t *testing.T) {
			sent, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			c.swaks(t, f)
			dumps := map[string]string{}
			for _, d := range c.domains {
				dumps[d] = c.wait(t, filepath.Join(c.dir, d), asDumped(sent))
			}
			// It is signed once: one that is the same at two domains is verified once.
			verified := map[string]bool{}
			for _, d := range c.domains {
				wire := c.check(t, d, dumps[d], sent)
				if !verified[wire] {
					c.verify(t, wire)
				}
				verified[wire] = true
			}
		})
	}
	relay.term()
}

// serveDNS answers from a zone until the test ends. The sockets are there already,
// so that nobody asks too early.
func serveDNS(t *testing.T, zone string, pc net.PacketConn, l net.Listener) {
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := dnstest.New(zone).Serve(ctx, pc, l); err != nil {
			t.Errorf("dns: %v", err)
		}
	}()
	t.Cleanup(func() { cancel(); <-served })
}

// exampleKeys are the records of RFC 8463 appendix A, whose message is in the
// corpus with two signatures of its own.
const exampleKeys = `brisbane._domainkey.football.example.com. 300 IN TXT "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
test._domainkey.football.example.com. 300 IN TXT "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e" "/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
`

type corpusTest struct {
	dir, smtp, conf, dns string
	domains              []string
	txt                  map[string]string // DKIM records by name
}

func newCorpusTest(t *testing.T) *corpusTest {
	c := &corpusTest{dir: t.TempDir(), smtp: freePort(t, "127.0.0.1"), domains: []string{"one.test", "two.test", "three.test"}, txt: map[string]string{}}
	var providers []internet.Provider
	_, port, _ := net.SplitHostPort(freePort(t, "127.1.8.1"))
	for i, d := range c.domains {
		addr := fmt.Sprintf("127.1.8.%d", i+1)
		providers = append(providers, internet.Provider{Domains: []string{d}, Hosts: []internet.Host{{Name: "mx." + d, Address: addr}}})
		dump := filepath.Join(c.dir, d)
		if err := os.Mkdir(dump, 0o755); err != nil {
			t.Fatal(err)
		}
		sink := exec.Command("smtp-sink", "-u", "root", "-d", dump+"/%s.", addr+":"+port, "100")
		if err := sink.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { sink.Process.Kill(); sink.Wait() })
		greets(t, addr+":"+port, "smtp-sink")
	}
	zone := internet.Zone(providers) + c.keys(t) + exampleKeys
	// resolv.conf names no port; of the addresses others may have some.
	var addr string
	for n := range 200 {
		addr = fmt.Sprintf("127.1.%d.53", n+8)
		pc, l, err := dnstest.Listen(t.Context(), addr+":53")
		if err == nil {
			serveDNS(t, zone, pc, l)
			break
		}
		if n == 199 {
			t.Fatalf("nowhere is port 53 free: %v", err)
		}
	}
	c.dns = addr + ":53"
	c.conf = fmt.Sprintf(`[dns]
servers = [%q]
[delivery]
port = %s
private_destinations = true
[[dkim]]
domain = "src.test"
selector = "rsa"
key = %q
[[dkim]]
domain = "src.test"
selector = "ed"
key = %q
`, c.dns, port, filepath.Join(c.dir, "rsa.pem"), filepath.Join(c.dir, "ed.pem"))
	return c
}

// keys makes an RSA and an Ed25519 key and gives their DNS records.
func (c *corpusTest) keys(t *testing.T) (zone string) {
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := x509.MarshalPKIXPublicKey(r.Public())
	if err != nil {
		t.Fatal(err)
	}
	edPub, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []struct {
		selector, kind string
		key            crypto.PrivateKey
		public         []byte
	}{{"rsa", "rsa", r, pub}, {"ed", "ed25519", ed, edPub}} {
		der, err := x509.MarshalPKCS8PrivateKey(k.key)
		if err != nil {
			t.Fatal(err)
		}
		text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
		if err := os.WriteFile(filepath.Join(c.dir, k.selector+".pem"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		name := k.selector + "._domainkey.src.test"
		record := "v=DKIM1; k=" + k.kind + "; p=" + base64.StdEncoding.EncodeToString(k.public)
		c.txt[name] = record
		zone += name + ". 300 IN TXT"
		for len(record) > 0 {
			n := min(len(record), 250) // RFC 1035 section 3.3.14: strings of at most 255
			zone += fmt.Sprintf(" %q", record[:n])
			record = record[n:]
		}
		zone += "\n"
	}
	return zone
}

func (c *corpusTest) swaks(t *testing.T, file string) {
	t.Helper()
	host, port, _ := net.SplitHostPort(c.smtp)
	to := "b@" + strings.Join(c.domains, ",b@")
	out, err := exec.Command("swaks", "--server", host, "--port", port, "--from", "a@src.test", "--to", to, "--pipeline", "--data", "@"+file).CombinedOutput()
	if err != nil {
		t.Fatalf("swaks: %v\n%s", err, out)
	}
}

// unreadable names the messages that a verifier refuses to look at, for what
// is wrong with their own header; the other verifiers judge them.
var unreadable = map[string]string{
	"opendkim delivery-status-multiple-blank-lines.txt": "no From field",
	"opendkim delivery-status2.txt":                     "no From field",
	"opendkim multipart-related-mhtml.txt":              "no From field",
	"opendkim feedback-report.txt":                      "a byte order mark before From",
	"python feedback-report.txt":                        "a byte order mark before From",
	"opendkim rfc2060.txt":                              "no Date field",
	"opendkim stack-overflow.txt":                       "a To field above 64 KiB, which fails with signatures of python3-dkim too",
	"opendkim issue358.txt":                             "a line in the header that is no field",
	"python issue358.txt":                               "a line in the header that is no field",
}

// check judges the dump of a message at a domain's sink, and gives what the relay
// sent there.
func (c *corpusTest) check(t *testing.T, domain, dump string, sent []byte) (wire string) {
	t.Helper()
	_, message, ok := strings.Cut(dump, "by smtp-sink (smtp-sink)")
	if !ok {
		t.Fatalf("no dump of smtp-sink: %.300q", dump)
	}
	for range 2 { // the rest of smtp-sink's own Received field
		_, message, _ = strings.Cut(message, "\n")
	}
	want := asDumped(sent)
	message = strings.TrimSuffix(message, "\n") // smtp-sink's blank line between messages
	prefix, ok := strings.CutSuffix(message, want)
	if !ok {
		t.Fatalf("%s: arrived changed, %d octets for %d:\n%q\nwant the end to be\n%q", domain, len(message), len(want), tail(message), tail(want))
	}
	if !strings.Contains(prefix, "Received: from ") || strings.Count(prefix, "DKIM-Signature:") != 2 {
		t.Fatalf("%s: in front of the message stands %q", domain, prefix)
	}
	return strings.ReplaceAll(message, "\n", "\r\n")
}

// asDumped is how a message ends where smtp-sink wrote it.
func asDumped(sent []byte) string {
	if first, rest, _ := bytes.Cut(sent, []byte("\n")); bytes.HasPrefix(first, []byte("From ")) {
		sent = rest // the separator of an mbox file, which swaks leaves out
	}
	return strings.ReplaceAll(string(sent), "\r\n", "\n") + "\n" // swaks ends the last line, ended or not
}

// wait gives and removes the dump of a message. smtp-sink writes large ones in
// pieces, any of which may look like an end: it waits for that of the message, and
// then gives what there is.
func (c *corpusTest) wait(t *testing.T, dir, end string) (dump string) {
	t.Helper()
	var path string
	await(t, patience, func() bool {
		files, _ := os.ReadDir(dir)
		if len(files) == 0 {
			return false
		}
		path = filepath.Join(dir, files[0].Name())
		b, _ := os.ReadFile(path)
		dump = string(b)
		return strings.HasSuffix(dump, end+"\n") // a blank line between messages
	}, dir)
	if dump == "" {
		t.Fatalf("nothing arrived in %s", dir)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	return dump
}

const pythonVerify = `
import sys, json, dkim
txt = json.loads(sys.argv[1])
msg = sys.stdin.buffer.read()
d = dkim.DKIM(msg)
for i in range(2):
    if not d.verify(idx=i, dnsfunc=lambda n, timeout=5: txt[n.decode().rstrip(".")].encode()):
        sys.exit("signature %d does not verify" % i)
`

func (c *corpusTest) verify(t *testing.T, wire string) {
	t.Helper()
	lookup := func(name string) ([]string, error) {
		if r, ok := c.txt[name]; ok {
			return []string{r}, nil
		}
		return nil, fmt.Errorf("no record %s", name)
	}
	found, err := dkim.VerifyWithOptions(strings.NewReader(wire), &dkim.VerifyOptions{LookupTXT: lookup})
	if err != nil {
		t.Fatal(err)
	}
	ours := 0
	for _, v := range found {
		if v.Domain != "src.test" {
			continue // a signature that the message brought along
		}
		ours++
		if v.Err != nil {
			t.Errorf("go-msgauth: %v", v.Err)
		}
	}
	if ours != 2 {
		t.Errorf("go-msgauth saw %d signatures of ours", ours)
	}
	name := filepath.Base(t.Name())
	if why := unreadable["python "+name]; why == "" {
		c.python(t, wire)
	}
	if why := unreadable["opendkim "+name]; why == "" {
		c.opendkim(t, wire)
	}
}

func (c *corpusTest) python(t *testing.T, wire string) {
	t.Helper()
	args := "{"
	for n, r := range c.txt {
		args += fmt.Sprintf("%q:%q,", n, r)
	}
	python := exec.Command("/usr/bin/python3", "-c", pythonVerify, strings.TrimSuffix(args, ",")+"}")
	python.Stdin = strings.NewReader(wire)
	if out, err := python.CombinedOutput(); err != nil {
		t.Errorf("python3-dkim: %v\n%s", err, out)
	}
}

// opendkim runs opendkim-testmsg with our DNS as the only one, in a mount
// namespace of its own since it asks what resolv.conf names.
func (c *corpusTest) opendkim(t *testing.T, wire string) {
	t.Helper()
	conf := filepath.Join(c.dir, "resolv.conf")
	host, _, _ := net.SplitHostPort(c.dns)
	if err := os.WriteFile(conf, []byte("nameserver "+host+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "-m", "sh", "-c", `mount --bind "$1" /etc/resolv.conf && exec opendkim-testmsg`, "sh", conf)
	cmd.Stdin = strings.NewReader(wire)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("opendkim-testmsg: %v\n%s", err, out)
	}
}

// tail gives the end of a text, enough to see what is wrong.
func tail(s string) string { return s[max(0, len(s)-300):] }
