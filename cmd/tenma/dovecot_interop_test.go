//go:build interop

package main

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// TestInteropDovecotLMTP delivers to Dovecot over LMTP, where each recipient has
// a reply of its own behind the final dot: one mailbox that is full, and one
// address that is none, cost the others nothing.
func TestInteropDovecotLMTP(t *testing.T) {
	t.Parallel()
	p := newPeer(t)
	cert, key := p.certificate(t, "rx.test")
	addr := freePort(t, "127.0.0.1")
	host, port, _ := net.SplitHostPort(addr)
	home := p.mkdir(t, "mail", "dovenull")
	users := ""
	for n := range 10 {
		limit := ""
		if n == 5 {
			limit = "userdb_quota_rule=*:bytes=100"
		}
		users += fmt.Sprintf("u%d@dst.test:{PLAIN}x:dovenull:dovenull::%s/u%d::%s\n", n, home, n, limit)
	}
	conf := p.write(t, "dovecot.conf", fmt.Sprintf(`base_dir = %[1]s/run
state_dir = %[1]s/run
log_path = %[2]s
protocols = lmtp
listen = %[3]s
ssl = yes
ssl_cert = <%[4]s
ssl_key = <%[5]s
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:~/Maildir
mail_plugins = quota
service lmtp {
  inet_listener lmtp {
    address = %[3]s
    port = %[6]s
  }
}
passdb {
  driver = passwd-file
  args = %[7]s
}
userdb {
  driver = passwd-file
  args = %[7]s
}
plugin {
  quota = maildir:User quota
}
`, p.dir, p.log, host, cert, key, port, p.write(t, "users", users)))
	p.run(t, addr, "dovecot", "-F", "-c", conf)
	box := func(n int) maildir { return maildir(filepath.Join(home, fmt.Sprintf("u%d", n), "Maildir")) }

	back := startPostfix(t, map[string]string{"src.test": ""}, "")
	relay := startRelay(t, binary(t), t.TempDir(), freePort(t, "127.0.0.1"), fmt.Sprintf(
		"[[route]]\ndomain = \"dst.test\"\nto = \"lmtp://%s\"\n[[route]]\ndomain = \"src.test\"\nto = \"smtp://%s\"\n", addr, back.addr["src.test"]))
	v, err := converse(relay.smtp)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for _, s := range specimens() {
		t.Run(s.name, func(t *testing.T) {
			v.submit(t, "<a@src.test> BODY=8BITMIME", []string{"<u0@dst.test>"}, s.text)
			for _, got := range box(0).take(t, 1) {
				whole(t, got, s.text)
				if !strings.Contains(got, "with LMTPS") {
					t.Errorf("no TLS: %.500s", got)
				}
			}
		})
	}
	t.Run("one full, one unknown", func(t *testing.T) {
		sent := specimens()[2].text
		v.submit(t, "<a@src.test> BODY=8BITMIME RET=HDRS", []string{"<u1@dst.test>", "<no@dst.test>", "<u5@dst.test>", "<u2@dst.test>", "<u3@dst.test> NOTIFY=SUCCESS"}, sent)
		for _, n := range []int{1, 2, 3} {
			for _, got := range box(n).take(t, 1) {
				whole(t, got, sent)
			}
		}
		status := map[string]string{}
		for _, got := range back.box("src").take(t, 2) {
			for _, r := range parse(t, got).Recipients {
				status[r["final-recipient"]] = r["action"] + " " + r["status"]
			}
		}
		for who, want := range map[string]string{"no@": "failed 5.1.1", "u5@": "failed 5.2.2", "u3@": "delivered 2.0.0"} {
			if got := status["rfc822; "+who+"dst.test"]; got != want {
				t.Errorf("%s: %q, not %q", who, got, want)
			}
		}
	})
	relay.term()
}
