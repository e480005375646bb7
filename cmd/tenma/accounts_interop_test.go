//go:build interop

package main

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// converseTLS is converse behind STARTTLS, with whatever certificate.
func converseTLS(addr string) (*conversation, error) {
	v, err := converse(addr)
	if err != nil {
		return nil, err
	}
	if _, err := v.ask("STARTTLS\r\n"); err != nil {
		return nil, errors.Join(err, v.Close())
	}
	c := tls.Client(v.Conn, &tls.Config{InsecureSkipVerify: true})
	v = &conversation{c, bufio.NewReader(c)}
	if _, err := v.ask("EHLO client.test\r\n"); err != nil {
		return nil, errors.Join(err, v.Close())
	}
	return v, nil
}

// logIn lets swaks log in at addr and name a recipient: what was said.
func logIn(addr string, args ...string) string {
	host, port, _ := net.SplitHostPort(addr)
	args = append([]string{"--server", host, "--port", port, "--tls", "--from", "ann@ours.test", "--to", "x@ours.test", "--quit-after", "RCPT"}, args...)
	out, _ := exec.Command("swaks", args...).CombinedOutput()
	return string(out)
}

// TestInteropFail2Ban lets Debian's fail2ban read what the relay writes of failed
// logins, as text and as JSON: it finds the client each time, and nothing else,
// whatever that client calls itself.
func TestInteropFail2Ban(t *testing.T) {
	t.Parallel()
	bin := binary(t)
	for _, format := range []string{"text", "json"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			dir, addr := t.TempDir(), freePort(t, "127.0.0.1")
			relay := startRelay(t, bin, dir, freePort(t, "127.0.0.1"), fmt.Sprintf(`[log]
format = %q
[[listen]]
protocol = "smtp"
address = %q
tls = "starttls"
auth = "optional"
[[domain]]
name = "ours.test"
[[domain]]
name = "second.test"
`, format, addr))
			names := []string{
				"ann", "ann@ours.test", "ann@theirs.test",
				`x client=203.0.113.9 user=`, `x" client=203.0.113.9 user="y`, `x","client":"203.0.113.9","user":"y`,
				"time=2026-11-22T01:17:45Z level=WARN msg=\"login failed\" protocol=imap client=203.0.113.9 user=ann",
				"x\ntime=2026-11-22T01:17:45Z level=WARN msg=\"login failed\" protocol=imap client=203.0.113.9 user=ann",
				"x\r\n{\"time\":\"2026-11-22T01:17:45Z\",\"level\":\"WARN\",\"msg\":\"login failed\",\"protocol\":\"imap\",\"client\":\"203.0.113.9\",\"user\":\"\"}",
			}
			v, err := converseTLS(addr)
			if err != nil {
				t.Fatal(err)
			}
			for i, name := range names {
				if i%2 == 0 && i > 0 { // a session takes a few failures only
					v.Close()
					if v, err = converseTLS(addr); err != nil {
						t.Fatal(err)
					}
				}
				plain := base64.StdEncoding.EncodeToString([]byte("\x00" + name + "\x00" + "wrong"))
				if line, err := v.ask("AUTH PLAIN " + plain + "\r\n"); err == nil || !strings.HasPrefix(line, "535") {
					t.Errorf("%q: %q, %v", name, line, err)
				}
			}
			v.Close()
			relay.term()
			log := filepath.Join(dir, "log")
			if err := os.WriteFile(log, []byte(relay.out.String()), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command("fail2ban-regex", "-o", "ip", log, "../../deploy/fail2ban/filter.d/tenma.conf").CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			found := strings.Fields(string(out))
			if len(found) != len(names) || slices.ContainsFunc(found, func(ip string) bool { return ip != "127.0.0.1" }) {
				t.Errorf("found %q in\n%s", found, relay.out)
			}
			// The same as syslog and the journal hand it on.
			text := ""
			for line := range strings.Lines(relay.out.String()) {
				if strings.Contains(line, "login failed") {
					text += "mx tenma[77]: " + line
				}
			}
			if err := os.WriteFile(log, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err = exec.Command("fail2ban-regex", "-o", "ip", log, "../../deploy/fail2ban/filter.d/tenma.conf").CombinedOutput()
			if found := strings.Fields(string(out)); err != nil || len(found) != len(names) {
				t.Errorf("in the journal found %q, %v in\n%s", found, err, text)
			}
		})
	}
}

// slapd is Debian's LDAP server with ann and bob, that serves in the background.
func slapd(t *testing.T) (url, ca string, stop func()) {
	t.Helper()
	p := newPeer(t)
	addr := freePort(t, "127.0.0.1")
	_, port, _ := net.SplitHostPort(addr)
	cert, key := p.certificate(t, "localhost")
	conf := p.write(t, "slapd.conf", fmt.Sprintf(`include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile %[1]s/slapd.pid
TLSCertificateFile %[2]s
TLSCertificateKeyFile %[3]s
security simple_bind=128
database mdb
suffix "dc=ours,dc=test"
rootdn "cn=relay,dc=ours,dc=test"
rootpw service
directory %[4]s
access to attrs=userPassword by anonymous auth by * none
access to * by * none
`, p.dir, cert, key, p.mkdir(t, "db", "root")))
	people := p.write(t, "people.ldif", `dn: dc=ours,dc=test
objectClass: domain
dc: ours

dn: uid=ann,dc=ours,dc=test
objectClass: inetOrgPerson
cn: Ann
sn: A
mail: Ann@ours.test
userPassword: {SSHA}2N8djW7b35JywAH/lRU9l0+fgEBzYWx0MTIzNA==

dn: uid=b\2Cob,dc=ours,dc=test
objectClass: inetOrgPerson
cn: Bob
sn: B
mail: bob*@ours.test
userPassword: password of bob
`)
	for _, args := range [][]string{{"slapadd", "-f", conf, "-l", people}, {"slapd", "-f", conf, "-h", "ldap://" + addr}} { // returns when it listens
		// Its tables have a line for each file that it may open, a thousand million in some containers.
		args = append([]string{"-c", `ulimit -n 1024; exec "$@"`, "sh"}, args...)
		if out, err := exec.Command("sh", args...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
	}
	stop = func() {
		text, err := os.ReadFile(filepath.Join(p.dir, "slapd.pid"))
		if err != nil {
			return // it has stopped
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		syscall.Kill(pid, syscall.SIGTERM)
		if !await(t, patience, func() bool {
			_, err := os.Stat(filepath.Join(p.dir, "slapd.pid"))
			return err != nil
		}, p.dir) {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	t.Cleanup(stop)
	return "ldap://localhost:" + port, cert, stop
}

// TestInteropLDAP lets people of an OpenLDAP server log in and get mail, over
// StartTLS, found by their address; and while it is down nobody is told that they
// do not exist.
func TestInteropLDAP(t *testing.T) {
	t.Parallel()
	url, ca, stop := slapd(t)
	dir, addr := t.TempDir(), freePort(t, "127.0.0.1")
	relay := startRelay(t, binary(t), dir, freePort(t, "127.0.0.1"), fmt.Sprintf(`[[listen]]
protocol = "smtp"
address = %q
tls = "starttls"
auth = "optional"
[[domain]]
name = "ours.test"
[auth]
kind = "ldap"
url = %q
ca = %q
base = "dc=ours,dc=test"
bind_dn = "cn=relay,dc=ours,dc=test"
password = "service"
remember = "1s"
`, addr, url, ca))
	plain := func(user, password, to string) string {
		return logIn(addr, "--auth", "PLAIN", "--auth-user", user, "--auth-password", password, "--to", to)
	}
	const in = "235 2"
	if out := plain("ann@ours.test", "password of ann", "x@foreign.test"); !strings.Contains(out, in) || !strings.Contains(out, "250 2.1.5") {
		t.Errorf("ann:\n%s", out)
	}
	if out := plain("bob*@ours.test", "password of bob", "x@foreign.test"); !strings.Contains(out, in) {
		t.Errorf("bob:\n%s", out)
	}
	if out := plain("ann", "password of ann", "x@foreign.test"); !strings.Contains(out, in) {
		t.Errorf("ann without a domain:\n%s", out)
	}
	for _, bad := range [][2]string{{"ann@ours.test", "wrong"}, {"*@ours.test", "password of ann"}, {"cn=relay", "service"}, {"relay@ours.test", "service"}} {
		if out := plain(bad[0], bad[1], "x@foreign.test"); !strings.Contains(out, "535 5.7.8") {
			t.Errorf("%q:\n%s", bad, out)
		}
	}
	if out := logIn(addr, "--to", "Ann+news@ours.test"); !strings.Contains(out, "250 2.1.5") {
		t.Errorf("mail for ann:\n%s", out)
	}
	if out := logIn(addr, "--to", "nobody@ours.test"); !strings.Contains(out, "550 5.1.1") {
		t.Errorf("mail for nobody:\n%s", out)
	}
	stop()
	if out := plain("ann@ours.test", "another", "x@foreign.test"); !strings.Contains(out, "454 4.7.0") {
		t.Errorf("ann in an outage:\n%s", out)
	}
	if out := logIn(addr, "--to", "someone@ours.test"); !strings.Contains(out, "451 4.4.3") {
		t.Errorf("mail in an outage:\n%s", out)
	}
	relay.term()
}
