//go:build interop

package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// unpacked gives the root of a Debian package that was unpacked, not installed,
// since as a package it would put Postfix out; .ci/run does that.
func unpacked(t *testing.T, name string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(cache, "tenma-peers", name)
	if _, err := os.Stat(root); err != nil {
		t.Fatalf("%s is not unpacked: %v", name, err)
	}
	return root
}

// inside is the script that runs a server as if it were installed: in a mount
// namespace with layers of its own over the folders $LAYERS, with the users
// $USERS, after the commands $SETUP.
const inside = `set -e
mount -t tmpfs -o mode=755 none "$HERE"
for l in $LAYERS; do
  mkdir -p "$HERE/u$l" "$HERE/w$l"
  mount -t overlay -o "lowerdir=$l,upperdir=$HERE/u$l,workdir=$HERE/w$l" none "$l"
done
id=61000
for u in $USERS; do
  id=$((id + 1))
  echo "$u:x:$id:$id::/nonexistent:/usr/sbin/nologin" >> /etc/passwd
  echo "$u:x:$id:" >> /etc/group
done
eval "$SETUP"
exec "$@"
`

// runInside starts a server with that script.
func (p *peer) runInside(t *testing.T, addr, layers, users, setup string, args ...string) {
	t.Helper()
	env := []string{"env", "HERE=" + p.mkdir(t, "layers", "root"), "LAYERS=" + layers, "USERS=" + users, "SETUP=" + setup}
	p.run(t, addr, append(append(env, "unshare", "-m", "sh", "-c", inside, "sh"), args...)...)
}

// bothWays sends every specimen from the relay to a foreign server at addr, whose
// mailbox for NAME@dst.test is box(NAME), and from that server, which must pass
// on the mail of plain.test, through the relay to Postfix. secure is whether its
// STARTTLS works.
func bothWays(t *testing.T, secure bool, start func(t *testing.T, relay string) (addr string, box func(name string) maildir)) {
	t.Helper()
	smtp := freePort(t, "127.0.0.1")
	addr, box := start(t, smtp)
	next := startPostfix(t, map[string]string{"next": ""}, "")
	relay := startRelay(t, binary(t), t.TempDir(), smtp, fmt.Sprintf(
		"[[route]]\ndomain = \"dst.test\"\nto = \"smtp://%s\"\n[[route]]\ndomain = \"*\"\nto = \"smtp://%s\"\n", addr, next.addr["next"]))
	v, err := converse(smtp)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	w, err := converse(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, s := range specimens() {
		if t.Failed() {
			t.FailNow() // each would wait as long
		}
		t.Run(s.name, func(t *testing.T) {
			v.submit(t, "<a@src.test> BODY=8BITMIME", []string{"<u0@dst.test>", "<u1@dst.test>"}, s.text)
			for _, name := range []string{"u0", "u1"} {
				for _, got := range box(name).take(t, 1) {
					whole(t, got, s.text)
					if strings.Contains(got, "(TLS") != secure {
						t.Errorf("TLS: %v\n%.600s", !secure, got)
					}
				}
			}
		})
		t.Run(s.name+" back", func(t *testing.T) {
			w.hand(t, "<a@src.test> BODY=8BITMIME", []string{"<u2@plain.test>"}, s.text)
			for _, got := range next.box("plain.test/u2").take(t, 1) {
				whole(t, got, s.text)
			}
		})
	}
	t.Run("unknown", func(t *testing.T) {
		v.submit(t, "<a@src.test>", []string{"<u0@dst.test>", "<no@dst.test>", "<u1@dst.test>"}, specimens()[0].text)
		box("u0").take(t, 1)
		box("u1").take(t, 1)
		for _, got := range next.box("src").take(t, 1) {
			if r := parse(t, got); len(r.Recipients) != 1 || r.Recipients[0]["final-recipient"] != "rfc822; no@dst.test" || r.Recipients[0]["action"] != "failed" || !strings.HasPrefix(r.Recipients[0]["diagnostic-code"], "smtp; 5") {
				t.Errorf("%+v", r)
			}
		}
	})
	relay.term()
}

// TestInteropExim is about Exim, whose client is the one that sends with BDAT.
func TestInteropExim(t *testing.T) {
	t.Parallel()
	var exim *peer
	bothWays(t, true, func(t *testing.T, relay string) (addr string, box func(string) maildir) {
		exim, addr, box = startExim(t, relay)
		return addr, box
	})
	exim.logged(t, ` => u2@plain.test .* K C="250[- ]2\.0\.0 .*[0-9A-V]{26}`)
}

// startExim runs Exim with the mailboxes u0 and u1 at dst.test. Mail for other domains
// goes to the server at relay.
func startExim(t *testing.T, relay string) (p *peer, addr string, box func(name string) maildir) {
	t.Helper()
	p = newPeer(t)
	p.log = filepath.Join(p.dir, "logs", "main")
	addr = freePort(t, "127.0.0.1")
	_, port, _ := net.SplitHostPort(addr)
	to, toPort, _ := net.SplitHostPort(relay)
	cert, key := p.certificate(t, "rx.test")
	program := filepath.Join(p.dir, "layers", "exim4") // set-uid, and only in there
	conf := p.write(t, "exim.conf", fmt.Sprintf(`primary_hostname = rx.test
exim_path = %[1]s
spool_directory = %[2]s/spool
log_file_path = %[2]s/logs/%%s
log_selector = +pipelining +smtp_confirmation
local_interfaces = 127.0.0.1
daemon_smtp_ports = %[3]s
tls_advertise_hosts = *
tls_certificate = %[4]s
tls_privatekey = %[5]s
dsn_advertise_hosts = *
acl_smtp_rcpt = rcpt
acl_smtp_data = accept
acl_smtp_dkim = accept
host_lookup =
disable_ipv6 = true
never_users =
keep_environment =
smtp_accept_queue_per_connection = 0
timeout_frozen_after = 1h
begin acl
rcpt:
  require verify = recipient
  accept
begin routers
away:
  driver = manualroute
  domains = ! dst.test
  transport = away
  self = send
  route_list = * %[6]s::%[7]s byname
here:
  driver = accept
  local_parts = lsearch;%[8]s
  transport = here
begin transports
away:
  driver = smtp
here:
  driver = appendfile
  maildir_format
  directory = %[2]s/mail/$local_part_data
  create_directory
  user = nobody
  group = nogroup
  delivery_date_add
  envelope_to_add
  return_path_add
begin retry
* * F,1h,30s
`, program, p.dir, port, cert, key, to, toPort, p.write(t, "users", "u0: u0\nu1: u1\n")))
	p.mkdir(t, "mail", "nobody")
	p.mkdir(t, "spool", "root")
	p.mkdir(t, "logs", "root")
	p.runInside(t, addr, "/etc", "Debian-exim", fmt.Sprintf("mkdir -p /etc/exim4; cp %s /etc/exim4/exim4.conf; install -m 4755 %s/usr/sbin/exim4 %s; cd %s; chown -R Debian-exim: spool logs cert.pem key.pem", conf, unpacked(t, "exim4-daemon-light"), program, p.dir),
		program, "-bdf", "-q1h")
	return p, addr, func(name string) maildir { return maildir(filepath.Join(p.dir, "mail", name)) }
}

// TestInteropOpenSMTPD is about OpenSMTPD, whose client sends with neither
// PIPELINING nor CHUNKING. Debian's 6.8 on OpenSSL 3 fails in its side of
// the TLS handshake here, with "openssl s_client" too, so that this shows as well
// how mail that demands no TLS gets to such a host.
func TestInteropOpenSMTPD(t *testing.T) {
	t.Parallel()
	bothWays(t, false, startOpenSMTPD)
}

// startOpenSMTPD runs OpenSMTPD with the mailboxes u0 to u9 at dst.test. Mail for other
// domains goes to the server at relay.
func startOpenSMTPD(t *testing.T, relay string) (addr string, box func(name string) maildir) {
	t.Helper()
	p := newPeer(t)
	addr = freePort(t, "127.0.0.1")
	_, port, _ := net.SplitHostPort(addr)
	cert, key := p.certificate(t, "rx.test")
	users := ""
	for n := range 10 {
		users += fmt.Sprintf("u%d@dst.test nobody\n", n)
	}
	conf := p.write(t, "smtpd.conf", fmt.Sprintf(`table users file:%[1]s
pki rx cert "%[2]s"
pki rx key "%[3]s"
listen on 127.0.0.1 port %[4]s hostname rx.test tls pki rx
action here maildir "%[5]s/%%{rcpt.user}" virtual <users>
action away relay host smtp://%[6]s
match from any for domain dst.test action here
match from any for any action away
`, p.write(t, "users", users), cert, key, port, p.mkdir(t, "mail", "nobody"), relay))
	root := unpacked(t, "opensmtpd")
	p.runInside(t, addr, "/etc /var /run /usr/libexec", "opensmtpd opensmtpq",
		"mkdir -p /var/spool/smtpd /var/lib/opensmtpd/empty /usr/libexec/opensmtpd; chmod 711 /var/spool/smtpd; cp "+root+"/usr/libexec/opensmtpd/* /usr/libexec/opensmtpd; echo rx.test > /etc/mailname",
		root+"/usr/sbin/smtpd", "-d", "-f", conf)
	return addr, func(name string) maildir { return maildir(filepath.Join(p.dir, "mail", name)) }
}
