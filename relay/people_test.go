package relay_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"tenma/relay/config"
	"tenma/relay/mail"
	"tenma/relay/policy/auth"
	"tenma/relay/relaytest"
	"tenma/relay/wire/smtp"
)

// What a receiver returns later to the sender that a forward made up is taken
// from a stranger, and goes to the true sender; the same name at another domain
// opens no way out.
func TestForwardComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := relaytest.New(t, t.TempDir(), `
src.test. 300 IN MX 10 mx.src.test.
mx.src.test. 300 IN A 203.0.113.1
dst.test. 300 IN MX 10 mx.dst.test.
mx.dst.test. 300 IN A 203.0.113.2
`)
		defer w.Close()
		w.Receive("mx.src.test", "203.0.113.1:25")
		w.Receive("mx.dst.test", "203.0.113.2:25")
		conf := filepath.Join(w.Dir, "relay.toml")
		if err := os.WriteFile(conf, []byte(crashConfig+"[[domain]]\nname = \"ours.test\"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		c, _, err := config.Load(conf)
		if err != nil {
			t.Fatal(err)
		}
		people, err := auth.Open(c.Auth)
		if err != nil {
			t.Fatal(err)
		}
		ann := smtp.Address{Local: "ann", Domain: "ours.test"}
		if err := people.Add(ann, "correct-horse-battery"); err != nil {
			t.Fatal(err)
		}
		if err := people.Change(ann, func(s *mail.Settings) error {
			s.Forward = []smtp.Address{{Local: "b", Domain: "dst.test"}}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		w.Start(conf)
		from := relaytest.Client{From: netip.MustParseAddr("198.51.100.7")}
		send := func(sender, to, reply string) {
			t.Helper()
			text := fmt.Sprintf("S: 220\nC: EHLO client.test\nS: 250\nC: MAIL FROM:<%s>\nS: 250\nC: RCPT TO:<%s>\nS: %s\n", sender, to, reply)
			if reply == "250" {
				text += "C: DATA\nS: 354\nC: Subject: x\nC:\nC: text\nC: .\nS: 250\n"
			}
			if err := w.DialogueAs(from, text+"C: QUIT\nS: 221\n"); err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		send("a@src.test", "ann@ours.test", "250")
		got := w.Got("mx.dst.test")
		if len(got) != 1 {
			t.Fatalf("%d messages were forwarded", len(got))
		}
		made, err := smtp.ParseMailbox(got[0].From)
		if err != nil || made.Domain != "ours.test" {
			t.Fatalf("forwarded by %q", got[0].From)
		}
		send("", made.String(), "250")
		if back := w.Got("mx.src.test"); len(back) != 1 || fmt.Sprint(back[0].To) != "[a@src.test]" {
			t.Errorf("returned: %+v", back)
		}
		send("", smtp.Address{Local: made.Local, Domain: "dst.test"}.String(), "550 5.7.1")
		send("", smtp.Address{Local: made.Local + "x", Domain: "ours.test"}.String(), "550 5.1.1")
	})
}
