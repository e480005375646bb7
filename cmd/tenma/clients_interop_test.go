//go:build interop

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A pool is where the relay takes the mail of foreign clients to: a listener for
// those it knows, one for those that log in over STARTTLS, and a next hop whose
// mailboxes show what arrived.
type pool struct {
	*relayd
	submission string
	next       *postfix
}

// startPool runs relay and next hop, with an account ann@src.test of the password "horse".
func startPool(t *testing.T) *pool {
	t.Helper()
	next := startPostfix(t, map[string]string{"dst.test": ""}, "")
	p := &pool{submission: freePort(t, "127.0.0.1"), next: next}
	dir, bin := t.TempDir(), binary(t)
	p.relayd = startRelay(t, bin, dir, freePort(t, "127.0.0.1"), fmt.Sprintf(`[[listen]]
protocol = "smtp"
address = %q
tls = "starttls"
auth = "required"
[submission]
sender = "domain" # the messages are by a colleague of ann's
[[domain]]
name = "src.test"
[[route]]
domain = "*"
to = "smtp://%s"
`, p.submission, next.addr["dst.test"]))
	add := exec.Command(bin, "user", "add", "ann@src.test", "-c", p.conf)
	add.Stdin = strings.NewReader("horse\n")
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("user add: %v\n%s", err, out)
	}
	return p
}

// client runs a program that hands in mail; each of its messages, told by the
// word that it has for them, must get a queue id of its own.
func client(t *testing.T, word string, messages int, name string, args ...string) {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	queued(t, string(out), word, messages)
}

func queued(t *testing.T, out, word string, messages int) {
	t.Helper()
	if ids := queueIDs(out); len(ids) != messages {
		t.Errorf("%d queue ids for %d messages of %s:\n%s", len(ids), messages, word, out)
	}
}

// queueIDs are those that stand in the output of a client.
func queueIDs(out string) map[string]bool {
	ids := map[string]bool{}
	for _, m := range queuedID.FindAllStringSubmatch(out, -1) {
		ids[m[1]] = true
	}
	return ids
}

const smtplibClient = `
import sys, smtplib, ssl
host, port, login, files = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:]
class Client(smtplib.SMTP):
    def data(self, msg):
        code, text = super().data(msg)
        print(code, text.decode())
        return code, text
with Client(host, port) as c:
    c.ehlo("client.test")
    if login:
        context = ssl.create_default_context(); context.check_hostname = False; context.verify_mode = ssl.CERT_NONE
        c.starttls(context=context)
        c.login("ann@src.test", "horse")
        print(c.sock.version())
    for n, f in enumerate(files):
        c.sendmail("ann@src.test", ["u1@dst.test", "u2@dst.test"], open(f, "rb").read(), ["BODY=8BITMIME"], [])
`

// TestInteropClients lets programs that people use hand in mail, in the open and
// logged in over TLS. Each message gets its queue id, and each arrives as it was.
func TestInteropClients(t *testing.T) {
	t.Parallel()
	p := startPool(t)
	host, port, _ := net.SplitHostPort(p.smtp)
	_, port587, _ := net.SplitHostPort(p.submission)
	var files []string
	sent := specimens()
	for _, s := range sent {
		files = append(files, p.next.write(t, "sent/"+s.name, s.text))
	}
	// arrive compares what came to a box with what was sent, in any order.
	arrive := func(t *testing.T, box string, sent []specimen) {
		t.Helper()
		got := p.next.box("dst.test/"+box).take(t, len(sent))
		for _, s := range sent {
			want := strings.ReplaceAll(s.text, "\r\n", "\n")
			n := slices.IndexFunc(got, func(g string) bool { return strings.HasSuffix(g, want) && strings.Count(g, "by relay.test ") == 1 })
			if n < 0 {
				t.Errorf("%q did not arrive as it was; what came ends with", s.name)
				for _, g := range got {
					t.Errorf("%q", tail(g))
				}
				continue
			}
			got = slices.Delete(got, n, n+1)
		}
	}
	t.Run("smtplib", func(t *testing.T) {
		client(t, "smtplib", len(files), "/usr/bin/python3", append([]string{"-c", smtplibClient, host, port, ""}, files...)...)
		arrive(t, "u1", sent)
		arrive(t, "u2", sent)
	})
	t.Run("smtplib logs in", func(t *testing.T) {
		client(t, "smtplib", len(files), "/usr/bin/python3", append([]string{"-c", smtplibClient, host, port587, "login"}, files...)...)
		arrive(t, "u1", sent)
		arrive(t, "u2", sent)
	})
	t.Run("curl", func(t *testing.T) {
		for n, s := range sent {
			client(t, "curl", 1, "curl", "-sv", "smtp://"+p.smtp, "--mail-from", "a@src.test", "--mail-rcpt", "u3@dst.test", "--mail-rcpt", "u4@dst.test", "--upload-file", files[n])
			arrive(t, "u3", []specimen{s})
			arrive(t, "u4", []specimen{s})
		}
		client(t, "curl", 1, "curl", "-sv", "--ssl-reqd", "-k", "smtp://"+p.submission, "-u", "ann@src.test:horse",
			"--mail-from", "ann@src.test", "--mail-rcpt", "u3@dst.test", "--upload-file", files[0])
		arrive(t, "u3", sent[:1])
	})
	t.Run("swaks", func(t *testing.T) {
		for n, s := range sent {
			if s.name == "no body" || s.name == "dots" {
				continue // it adds an empty line, and takes a last line "." for the end
			}
			client(t, "swaks", 1, "swaks", "--server", host, "--port", port, "--pipeline", "--from", "a@src.test", "--to", "u5@dst.test,u6@dst.test", "--data", "@"+trimmed(t, files[n]))
			arrive(t, "u5", []specimen{s})
			arrive(t, "u6", []specimen{s})
		}
		client(t, "swaks", 1, "swaks", "--server", host, "--port", port587, "--tls", "--auth", "--auth-user", "ann@src.test", "--auth-password", "horse",
			"--pipeline", "--from", "ann@src.test", "--to", "u5@dst.test", "--data", "@"+trimmed(t, files[0]))
		arrive(t, "u5", sent[:1])
	})
	p.term()
}

// trimmed writes a file again with its last line not ended: swaks ends it.
func trimmed(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "message")
	if err := os.WriteFile(path, []byte(strings.TrimSuffix(string(b), "\r\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestInteropPostfixSends lets two Postfix systems relay through us: one that is
// known by its address, and one that must use TLS and log in. The messages of
// parallel sessions arrive once each.
func TestInteropPostfixSends(t *testing.T) {
	t.Parallel()
	p := startPool(t)
	for name, c := range map[string]struct {
		total                int
		relay, suffix, extra string
	}{
		"known": {500, p.smtp, "", ""},
		// Fewer, since Cyrus SASL takes its time for SCRAM and Postfix logs in for each.
		"logged in": {60, p.submission, "SA", `smtp_tls_security_level = encrypt
smtp_tls_loglevel = 1
smtp_sasl_auth_enable = yes
smtp_sasl_security_options = noanonymous
smtp_sasl_password_maps = inline:{ [` + strings.Replace(p.submission, ":", "]:", 1) + `=ann@src.test:horse }
`},
	} {
		t.Run(name, func(t *testing.T) {
			relayhost := "[" + strings.Replace(c.relay, ":", "]:", 1)
			from := startPostfix(t, map[string]string{"in": "-o smtpd_client_connection_count_limit=0"}, c.extra+fmt.Sprintf("relayhost = %s\nsmtp_connection_cache_destinations = %s\nvirtual_mailbox_domains =\n", relayhost, relayhost))
			source := exec.Command("smtp-source", "-s", "20", "-m", fmt.Sprint(c.total), "-l", "4096", "-f", "ann@src.test", "-t", "u7@dst.test", from.addr["in"])
			if out, err := source.CombinedOutput(); err != nil {
				t.Fatalf("smtp-source: %v\n%s", err, out)
			}
			ids := map[string]bool{}
			for _, got := range p.next.box("dst.test/u7").take(t, c.total) {
				m := messageID.FindStringSubmatch(strings.ReplaceAll(got, "Message-Id", "Message-ID"))
				if m == nil || ids[m[1]] {
					t.Fatalf("one came twice, or is not smtp-source's: %.900s", got)
				}
				ids[m[1]] = true
				if !strings.Contains(got, "by relay.test with ESMTP"+c.suffix) {
					t.Errorf("received without %q: %.900s", c.suffix, got)
				}
			}
			// It may write of the reply after the message has arrived.
			var log []byte
			await(t, patience, func() bool {
				log, _ = os.ReadFile(from.log)
				return len(queueIDs(string(log))) >= c.total
			}, from.log)
			queued(t, string(log), "Postfix", c.total)
		})
	}
	p.term()
}
