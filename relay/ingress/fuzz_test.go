package ingress_test

import (
	"strings"
	"testing"

	"tenma/relay/ingress"
)

// FuzzConversation says whatever it likes after EHLO and hangs up. However the
// octets are cut, the server ends, answers 250 to as many messages as it has
// handed on, and hands on canonical ones only.
func FuzzConversation(f *testing.F) {
	envelope := "MAIL FROM:<x@far.test>\r\nRCPT TO:<ann@ours.test>\r\n"
	for _, s := range []string{
		envelope + "DATA\r\nSubject: x\r\n\r\n..dot\r\n.\r\n" + envelope + bdat("y\r\n", false) + bdat("z", true) + "QUIT\r\n",
		envelope + "DATA\r\na\n.\nb\r\n.\r\n",
		envelope + "BDAT 100 LAST\r\ncut",
		envelope + bdat("a\r", false) + "NOOP\r\n" + bdat("\n", true),
		envelope + bdat("a", false) + "RSET\r\n" + envelope + "DATA\r\n.\r\n",
		envelope + bdat("", false) + "NOOP\r\n" + bdat("a\r", false) + bdat("", true),
		"MAIL FROM:<x@far.test> SIZE=99999999999999999999\r\nMAIL FROM:<\u009b@far.test> SMTPUTF8\r\nMAIL FROM:<x@far.test> X=1\r\n\r\n \r\nX\r\nXYZ\r\n",
		envelope + "BDAT 1000000000000\r\nx\r\nQUIT\r\n",
		"STARTTLS\r\nEHLO y\r\n", "AUTH PLAIN AGFubgBzZWNyZXQ=\r\n", "BDAT 0 LAST\r\nBDAT x\r\n",
		"MAIL FROM:<\"a>b\"@c.test> SIZE=1 RET=FULL ENVID=a\r\nRCPT TO:<@r.test:bob@ours.test> NOTIFY=NEVER ORCPT=rfc822;x\r\nRCPT TO:<postmaster> ORCPT=x-y;z\r\nDATA\r\n",
	} {
		f.Add(s, uint8(255), false)
		f.Add(s, uint8(3), true)
	}
	f.Fuzz(func(t *testing.T, said string, piece uint8, vouched bool) {
		if len(said) > 4000 {
			return
		}
		inWorld(t, func(t *testing.T, w *world) {
			from := stranger
			if vouched {
				from = friend
			}
			c := w.hello(from)
			go func() {
				for len(said) > 0 {
					n := min(1+int(piece), len(said))
					if _, err := c.Write([]byte(said[:n])); err != nil {
						return
					}
					said = said[n:]
				}
				_ = c.Conn.(interface{ CloseWrite() error }).CloseWrite()
			}()
			queued := 0
			for {
				r := c.reply()
				if r == "" || r[0] == 0x15 { // a TLS alert: it said STARTTLS and then no hello
					break
				}
				if len(r) < 4 || r[0] < '2' || r[0] > '5' {
					t.Fatalf("reply %q", r)
				}
				if strings.HasPrefix(r, "250 2.0.0 Ok: queued as ") {
					queued++
				}
			}
			if n := len(w.messages()); n != queued {
				t.Errorf("%d messages, %d replies", n, queued)
			}
			for _, m := range w.messages() {
				canonical(t, m.body)
				if m.body != "" && !strings.HasSuffix(m.body, "\r\n") {
					t.Errorf("body %q", m.body)
				}
				for _, r := range m.env.Recipients {
					if !vouched && r.Address.Domain != "ours.test" && r.Address.Domain != "" {
						t.Errorf("relayed to %v", r.Address)
					}
				}
			}
		}, limits(func(l *ingress.Limits) { l.Commands = 100 }))
	})
}
