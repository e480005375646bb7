//go:build interop

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"tenma/bench/internet"
)

// filterRig is a relay that asks a mail filter and hands on to a receiver.
type filterRig struct {
	t     *testing.T
	dir   string
	relay *relayd
	mu    sync.Mutex
	got   []internet.Message // guarded by mu
}

// newFilterRig starts the filter's programs, waits for its socket, and starts a relay.
func newFilterRig(t *testing.T, dir, socket string, programs ...[]string) *filterRig {
	t.Helper()
	for _, p := range programs {
		c := exec.Command(p[0], p[1:]...)
		out := newTranscript("\x00never said")
		c.Stdout, c.Stderr = out, out
		c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
			c.Wait()
			if t.Failed() {
				t.Logf("%s: %s", p[0], out)
			}
		})
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		c, err := net.Dial("unix", socket)
		if err == nil {
			c.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the filter does not come up: %v", err)
		}
	}
	r := &filterRig{t: t, dir: dir}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m, err := internet.ParseManner(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() {
		internet.NewReceiver("mx.dst.test", m, 1, func(m internet.Message) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.got = append(r.got, m)
		}).Serve(ctx, l)
	})
	t.Cleanup(func() { stop(); ended.Wait() })
	extra := fmt.Sprintf("[[route]]\ndomain = \"*\"\nto = \"smtp://%s\"\ntls = \"none\"\n[[milter]]\nname = \"filter\"\naddress = \"unix:%s\"\n", l.Addr(), socket)
	r.relay = startRelay(t, binary(t), dir, freePort(t, "127.0.0.1"), extra)
	return r
}

// send hands in a message and gives the reply to it.
func (r *filterRig) send(header, body string) string {
	r.t.Helper()
	v, err := converse(r.relay.smtp)
	if err != nil {
		r.t.Fatal(err)
	}
	defer v.Close()
	text := header + "\r\n" + body
	reply, err := v.send("a@src.test", "b@dst.test", strings.TrimSuffix(text, "\r\n"))
	if reply == "" {
		r.t.Fatal(err)
	}
	return reply
}

// arrived waits for the nth message, from 1, and gives it.
func (r *filterRig) arrived(n int) string {
	r.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		r.mu.Lock()
		if len(r.got) >= n {
			defer r.mu.Unlock()
			return string(r.got[n-1].Data)
		}
		r.mu.Unlock()
		if time.Now().After(deadline) {
			r.t.Fatalf("message %d does not arrive\n%s", n, r.relay.out)
		}
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

const filterHeader = "From: Ann <a@src.test>\r\nTo: b@dst.test\r\nSubject: hello\r\nDate: Mon, 02 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@src.test>\r\n"

var longText = strings.Repeat("All work and no play makes Jack a dull boy.\r\n", 8000) // 360,000 octets: beyond memory

// TestInteropRspamd lets rspamd, by its own milter, refuse what is spam by definition
// and put its fields on the rest, small and large; a field that pretends to be one of
// its own goes.
func TestInteropRspamd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	socket := filepath.Join(dir, "milter.sock")
	writeFile(t, filepath.Join(dir, "rspamd.conf"), fmt.Sprintf(`options {
  pidfile = "%[1]s/rspamd.pid"; rundir = "%[1]s"; tempdir = "%[1]s"; filters = ""; gtube_patterns = "all";
  dns { nameserver = ["127.0.0.1:1"]; timeout = 0.1s; retransmits = 1; }
}
logging { type = "console"; level = "info"; }
worker "rspamd_proxy" {
  bind_socket = "%[2]s mode=0666"; milter = yes; timeout = 60s; count = 1;
  upstream "local" { default = yes; self_scan = yes; }
}
modules { path = "/usr/share/rspamd/plugins/milter_headers.lua"; }
lua = "/usr/share/rspamd/rules/rspamd.lua";
milter_headers { use = ["x-spamd-bar", "x-rspamd-queue-id"]; skip_local = false; skip_authenticated = false; }
actions { reject = 15; add_header = 6; }
`, dir, socket))
	r := newFilterRig(t, dir, socket, []string{"rspamd", "-f", "-i", "-c", filepath.Join(dir, "rspamd.conf")})
	const gtube = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"
	// rspamd looks for it in short parts only.
	const parts = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
	for _, text := range []string{"words\r\n", longText} {
		body := "--b\r\n\r\n" + text + "--b\r\n\r\n" + gtube + "--b--\r\n"
		if reply := r.send(filterHeader+parts, body); !strings.HasPrefix(reply, "554 5.7.1 ") {
			t.Errorf("GTUBE behind %d octets: %s", len(text), reply)
		}
	}
	for i, body := range []string{"Just words.\r\n", longText} {
		reply := r.send("X-Spamd-Bar: forged\r\n"+filterHeader, body)
		if !strings.HasPrefix(reply, "250 ") {
			t.Fatalf("%d octets: %s", len(body), reply)
		}
		got := r.arrived(i + 1)
		id := reply[strings.LastIndexByte(reply, ' ')+1:]
		if !strings.Contains(got, "X-Rspamd-Queue-Id: "+id) || strings.Contains(got, "forged") || strings.Count(got, "X-Spamd-Bar:") != 1 {
			t.Errorf("%d octets, %q: %.1000s", len(body), reply, got)
		}
		if !strings.HasSuffix(got, filterHeader+"\r\n"+body) {
			t.Errorf("%d octets: the rest has changed: %.1000s", len(body), got)
		}
	}
	r.relay.term()
}

// TestInteropClamAV lets clamav-milter and clamd find the EICAR test file, by a
// signature of our own, in an attachment and far behind the text.
func TestInteropClamAV(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	socket := filepath.Join(dir, "milter.sock")
	const eicar = `X5O!P%@AP[4\PZX54(P^)7CC)7}$` + `EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*`
	writeFile(t, filepath.Join(dir, "own.ndb"), "Own.Eicar:0:*:"+hex.EncodeToString([]byte(eicar[:40]))+"\n")
	writeFile(t, filepath.Join(dir, "clamd.conf"), fmt.Sprintf("Foreground yes\nLocalSocket %[1]s/clamd.sock\nDatabaseDirectory %[1]s\nTemporaryDirectory %[1]s\n", dir))
	writeFile(t, filepath.Join(dir, "milter.conf"), fmt.Sprintf("Foreground yes\nMilterSocket %s\nClamdSocket unix:%s/clamd.sock\nTemporaryDirectory %s\nOnInfected Reject\nRejectMsg Infected with %%v\nAddHeader Replace\n", socket, dir, dir))
	r := newFilterRig(t, dir, socket, []string{"clamd", "-c", filepath.Join(dir, "clamd.conf")}, []string{"clamav-milter", "-c", filepath.Join(dir, "milter.conf")})
	// clamd comes up beside the milter, which has messages wait for it.
	n := 0
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		reply := r.send(filterHeader, "Just words.\r\n")
		if strings.HasPrefix(reply, "250 ") {
			n++
			break
		}
		if !strings.HasPrefix(reply, "4") || time.Now().After(deadline) {
			t.Fatal(reply)
		}
	}
	attachment := "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
	parts := func(text string) string {
		return "--b\r\nContent-Type: text/plain\r\n\r\n" + text + "\r\n--b\r\nContent-Type: application/octet-stream; name=e.com\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
			base64.StdEncoding.EncodeToString([]byte(eicar)) + "\r\n--b--\r\n"
	}
	for _, text := range []string{"words", longText} {
		if reply := r.send(filterHeader+attachment, parts(text)); !strings.HasPrefix(reply, "550 5.7.1 ") || !strings.Contains(reply, "Own.Eicar") {
			t.Errorf("EICAR behind %d octets: %s", len(text), reply)
		}
	}
	if reply := r.send("X-Virus-Status: Forged\r\n"+filterHeader, longText); !strings.HasPrefix(reply, "250 ") {
		t.Error(reply)
	}
	for i := range n + 1 {
		if got := r.arrived(i + 1); strings.Count(got, "X-Virus-Status: Clean\r\n") != 1 || strings.Contains(got, "Forged") {
			t.Errorf("%.1000s", got)
		}
	}
	r.relay.term()
}

// TestInteropOpenDKIM lets OpenDKIM verify: what reaches it through the milter is octet
// for octet what was signed, odd white space included.
func TestInteropOpenDKIM(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	socket := filepath.Join(dir, "milter.sock")
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "keys"), "s._domainkey.src.test v=DKIM1; k=rsa; p="+base64.StdEncoding.EncodeToString(public)+"\n")
	writeFile(t, filepath.Join(dir, "opendkim.conf"), fmt.Sprintf("Background no\nMode v\nSocket local:%s\nTestPublicKeys %s/keys\nAuthservID filter.test\nPidFile %s/pid\nOn-BadSignature reject\n", socket, dir, dir))
	r := newFilterRig(t, dir, socket, []string{"opendkim", "-f", "-x", filepath.Join(dir, "opendkim.conf")})
	for i, body := range []string{"Just words.  \r\n\r\n\tand\ttabs\r\n", longText} {
		// "simple" covers each octet, white space included.
		text := "Subject:  two  spaces\r\n\tand a fold \r\nfrom:Ann <a@src.test>\r\nX-Empty:\r\n" + filterHeader[len("From: Ann <a@src.test>\r\n"):] + "\r\n" + body
		var signed bytes.Buffer
		err := dkim.Sign(&signed, strings.NewReader(text), &dkim.SignOptions{
			Domain: "src.test", Selector: "s", Signer: key, HeaderCanonicalization: dkim.CanonicalizationSimple, BodyCanonicalization: dkim.CanonicalizationSimple,
			HeaderKeys: []string{"From", "Subject", "To", "X-Empty"},
		})
		if err != nil {
			t.Fatal(err)
		}
		head, rest, _ := strings.Cut(signed.String(), "\r\n\r\n")
		if reply := r.send(head+"\r\n", rest); !strings.HasPrefix(reply, "250 ") {
			t.Fatalf("%d octets: %s", len(body), reply)
		}
		if got := r.arrived(i + 1); !strings.Contains(got, "Authentication-Results: filter.test") || !strings.Contains(got, "dkim=pass") {
			t.Errorf("%d octets: %.1000s", len(body), got)
		}
		if reply := r.send(head+"\r\n", rest+"more\r\n"); !strings.HasPrefix(reply, "550 5.7.") {
			t.Errorf("%d octets, broken: %s", len(body), reply)
		}
	}
	r.relay.term()
}
