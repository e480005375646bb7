package relay_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tenma/relay/policy/auth"
	"tenma/relay/policy/dkim"
	"tenma/relay/relaytest"
	"tenma/relay/wire/smtp"
)

// One test for each promise of doc.go. Each says how the promise was broken on
// purpose to see it fail; go test -overlay does that without touching the tree.

// promised runs f in a bubble, in a world with the zone of crash_test.go and the
// relay's configuration at conf.
func promised(t *testing.T, more string, f func(t *testing.T, w *relaytest.World, conf string)) {
	t.Helper()
	dir := t.TempDir()
	conf := filepath.Join(dir, "relay.toml")
	if err := os.WriteFile(conf, []byte(crashConfig+more), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		w := relaytest.New(t, dir, crashZone)
		defer w.Close()
		f(t, w, conf)
	})
}

// sending is the dialogue of one message.
func sending(from, to, text string) string {
	return "S: 220\nC: HELO x\nS: 250\nC: MAIL FROM:<" + from + ">\nS: 250\nC: RCPT TO:<" + to + ">\nS: 250\nC: DATA\nS: 354\n" +
		text + "C: .\nS: 250\n"
}

const short = "C: Subject: x\nC:\nC: text\n"

func send(t *testing.T, w *relaytest.World, from, to, text string) {
	t.Helper()
	if err := w.Dialogue(sending(from, to, text)); err != nil {
		t.Fatal(err)
	}
}

// TestPromise1Durable cuts the power at the moment of the 250, for messages of
// each way into the spool. Broken by a spool without sync (NoSync in World.Start).
func TestPromise1Durable(t *testing.T) {
	for name, n := range map[string]int{"inline": 10, "staged": 8000} {
		t.Run(name, func(t *testing.T) {
			promised(t, "", func(t *testing.T, w *relaytest.World, conf string) {
				w.Start(conf)
				send(t, w, "a@src.test", "b@good.test", "C: Subject: x\nC:\n"+strings.Repeat("C: "+strings.Repeat("y", 70)+"\n", n))
				w.Crash(0)
				w.Receive("mx.good.test", "203.0.113.2:25")
				w.Start(conf)
				time.Sleep(time.Hour)
				if got := w.Got(""); len(got) != 1 || bytes.Count(got[0].Data, []byte("\r\n")) < n {
					t.Errorf("%d messages arrived", len(got))
				}
			})
		})
	}
}

// TestPromise2BodyUnchanged looks at the octets that three attempts send, with a
// restart and a power failure between them: they are the client's, and what
// stands in front of them is the same each time, signature included. Broken by a
// Received field with the time of the attempt, and by a signature made anew for
// each attempt.
func TestPromise2BodyUnchanged(t *testing.T) {
	// go-msgauth notes when a signature was made, so one made anew differs.
	promised(t, "[[dkim]]\ndomain = \"src.test\"\nselector = \"s1\"\nkey = \"s1.pem\"\n", func(t *testing.T, w *relaytest.World, conf string) {
		if _, err := dkim.Generate(dkim.Ed25519, 0, filepath.Join(w.Dir, "s1.pem")); err != nil {
			t.Fatal(err)
		}
		body := "From: a@src.test\r\nsubject:  folded\r\n\ttwice \r\nX-Odd:\r\n\r\n.\r\n..dots\r\n gr\xfc\xdfe \t \r\n\r\n\r\n"
		var text strings.Builder
		for line := range strings.SplitSeq(strings.TrimSuffix(body, "\r\n"), "\r\n") {
			if strings.HasPrefix(line, ".") {
				line = "." + line
			}
			text.WriteString("C: " + line + "\n")
		}
		w.Receive("mx.good.test", "203.0.113.2:25", "say:dot=451_4.3.0_later", "keep")
		w.Start(conf)
		send(t, w, "a@src.test", "b@good.test", text.String())
		time.Sleep(10 * time.Second)
		if err := w.Stop(); err != nil {
			t.Fatal(err)
		}
		w.Start(conf)
		time.Sleep(40 * time.Second)
		w.Crash(0)
		w.Start(conf)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		got := w.Got("mx.good.test")
		if len(got) < 3 {
			t.Fatalf("%d attempts", len(got))
		}
		for i, m := range got {
			if !bytes.HasSuffix(m.Data, []byte(body)) {
				t.Errorf("attempt %d sends another body:\n%q", i+1, m.Data)
			}
			if !bytes.HasPrefix(m.Data, []byte("DKIM-Signature: ")) {
				t.Errorf("attempt %d is not signed:\n%q", i+1, m.Data)
			}
		}
		for i, m := range got[1:] {
			if !bytes.Equal(m.Data, got[0].Data) {
				t.Errorf("attempt %d sends\n%q\nthe first\n%q", i+2, m.Data, got[0].Data)
			}
		}
	})
}

// atEachMoment runs one message through a relay whose power fails at each
// millisecond of the first eighty, and then through a second life of an hour.
func atEachMoment(t *testing.T, to string, then func(t *testing.T, after time.Duration, w *relaytest.World, log string)) {
	for ms := range 27 {
		after := time.Duration(ms) * 3 * time.Millisecond
		promised(t, "", func(t *testing.T, w *relaytest.World, conf string) {
			w.Receive("mx.src.test", "203.0.113.1:25", "wait:dot=7ms")
			w.Receive("mx.good.test", "203.0.113.2:25", "wait:dot=7ms")
			w.Receive("mx.nobody.test", "203.0.113.4:25", "unknown=1", "wait:rcpt=7ms")
			w.Start(conf)
			send(t, w, "a@src.test", to, short)
			time.Sleep(after)
			w.Crash(0)
			log, err := w.MailLog() // what is left of it
			if err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			w.Start(conf)
			time.Sleep(time.Hour)
			synctest.Wait()
			then(t, after, w, log)
		})
	}
}

// TestPromise3NeverLost: whenever the power fails, the message arrives; and once
// the settlement is 50 ms old, it arrives no second time. Broken by a
// SettleDelay of a second (repeated).
func TestPromise3NeverLost(t *testing.T) {
	const synced = 7*time.Millisecond + 50*time.Millisecond
	repeats := 0
	atEachMoment(t, "b@good.test", func(t *testing.T, after time.Duration, w *relaytest.World, _ string) {
		n := len(w.Got("mx.good.test"))
		if n == 0 || n > 2 || n > 1 && after > synced {
			t.Errorf("power failure after %v: arrived %d times", after, n)
		}
		repeats += n - 1
	})
	if repeats == 0 {
		t.Error("no failure fell between final dot and settlement: nothing is shown")
	}
}

// TestPromise4OneDSN: whenever the power fails, the sender hears of the failure,
// and of the same DSN if twice. Broken by a settlement without its drafts. (The
// derived id alone is a second guard behind the one batch; bounce has its test.)
func TestPromise4OneDSN(t *testing.T) {
	id := regexp.MustCompile(`(?m)^Message-ID: .*`)
	repeats := 0
	atEachMoment(t, "b@nobody.test", func(t *testing.T, after time.Duration, w *relaytest.World, _ string) {
		got := w.Got("mx.src.test")
		if len(got) == 0 {
			t.Errorf("power failure after %v: no DSN", after)
			return
		}
		first := id.FindString(string(got[0].Data))
		for _, m := range got[1:] {
			repeats++
			if other := id.FindString(string(m.Data)); other != first {
				t.Errorf("power failure after %v: two DSNs, %s and %s", after, first, other)
			}
		}
	})
	if repeats == 0 {
		t.Error("no failure fell between a DSN's final dot and its settlement: nothing is shown")
	}
}

// TestPromise5LogFirst: whenever the power fails, a message that does not come
// back has its Delivery in what is left of the mail log. Broken by a spool that
// does not flush the log (BeforeSettle: nil).
func TestPromise5LogFirst(t *testing.T) {
	gone := 0
	atEachMoment(t, "b@good.test", func(t *testing.T, after time.Duration, w *relaytest.World, log string) {
		if len(w.Got("mx.good.test")) > 1 {
			return // it came back
		}
		now, err := w.MailLog()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(now, `"type":"Delivery"`) != 1 {
			t.Errorf("power failure after %v: the log is\n%s", after, now)
		}
		if strings.Contains(log, `"type":"Delivery"`) {
			gone++
		}
	})
	if gone == 0 {
		t.Error("no failure fell behind the settlement: nothing is shown")
	}
}

// TestPromise6DotAwaited drains the relay while a host thinks about a message
// that it has whole: the reply is awaited and counts. Broken by a context that
// ends the wait.
func TestPromise6DotAwaited(t *testing.T) {
	promised(t, "", func(t *testing.T, w *relaytest.World, conf string) {
		w.Receive("mx.good.test", "203.0.113.2:25", "wait:dot=9m")
		w.Start(conf)
		send(t, w, "a@src.test", "b@good.test", short)
		time.Sleep(time.Minute)
		begun := time.Now()
		if err := w.Stop(); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(begun); waited.Round(time.Second) != 8*time.Minute {
			t.Errorf("the drain took %v", waited)
		}
		w.Start(conf)
		time.Sleep(2 * time.Hour)
		if n := len(w.Got("")); n != 1 {
			t.Errorf("arrived %d times", n)
		}
	})
}

// TestPromise7NoDSNToNull lets a message from nobody, and one whose sender does
// not exist, fail: nobody hears of either more than the one DSN. Broken by taking
// out the looks at the sender in fate.Judge and bounce.Compose.
func TestPromise7NoDSNToNull(t *testing.T) {
	promised(t, "", func(t *testing.T, w *relaytest.World, conf string) {
		w.Receive("mx.src.test", "203.0.113.1:25")
		w.Receive("mx.nobody.test", "203.0.113.4:25", "unknown=1")
		w.Start(conf)
		send(t, w, "", "b@nobody.test", short)
		send(t, w, "a@nobody.test", "b@nobody.test", short)
		time.Sleep(100 * time.Hour)
		synctest.Wait()
		log, err := w.MailLog()
		if err != nil {
			t.Fatal(err)
		}
		if n := len(w.Got("")); n != 0 {
			t.Errorf("%d DSNs", n)
		}
		// The two messages and the DSN of the second.
		if n, all := strings.Count(log, `"type":"Bounce"`), strings.Count(log, "\n"); n != 3 || all != 5 {
			t.Errorf("%d Bounces in\n%s", n, log)
		}
	})
}

// TestPromise8OneOwner: however many shards there are, a lane's limit of
// connections holds, since one shard has all of the lane; and a message with
// recipients in many lanes has each of them served once. The host turns a third
// connection away, which the log would show. Broken by a ledger that forgets
// what is out, and by choosing a lane's shard by the message together with a
// delivery that has no limit of its own (either guard alone keeps the limit).
func TestPromise8OneOwner(t *testing.T) {
	promised(t, "lane_connections = 2\nshards = 8\n", func(t *testing.T, w *relaytest.World, conf string) {
		for i, host := range []string{"mx.src.test", "mx.good.test", "mx.shaky.test", "mx.nobody.test"} {
			w.Receive(host, fmt.Sprintf("203.0.113.%d:25", i+1), "max-connections=2", "wait:dot=20ms")
		}
		w.Start(conf)
		for i := range 60 {
			text := sending("a@src.test", "b@good.test", fmt.Sprintf("C: Subject: mark-%d\nC:\nC: text\n", i))
			for _, d := range []string{"src", "shaky", "nobody"} {
				text = strings.Replace(text, "C: DATA", "C: RCPT TO:<b@"+d+".test>\nS: 250\nC: DATA", 1)
			}
			if err := w.Dialogue(text); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		log, err := w.MailLog()
		if err != nil {
			t.Fatal(err)
		}
		if sent, failed := strings.Count(log, `"type":"Delivery"`), strings.Count(log, `"type":"TransientFailure"`); sent != 240 || failed != 0 || len(w.Got("")) != 240 {
			t.Errorf("%d deliveries, %d failures, %d arrived", sent, failed, len(w.Got("")))
		}
	})
}

// TestPromise9SenderGranted logs in and sends as oneself, as others in the
// envelope, and as others in From. Only the first passes.
// Broken by a maySend that says yes.
func TestPromise9SenderGranted(t *testing.T) {
	const more = "[[listen]]\nprotocol = \"smtp\"\naddress = \"127.0.0.1:2587\"\ntls = \"implicit\"\nauth = \"required\"\n"
	promised(t, more, func(t *testing.T, w *relaytest.World, conf string) {
		if err := os.MkdirAll(filepath.Join(w.Dir, "data"), 0o700); err != nil {
			t.Fatal(err)
		}
		people, err := auth.Open(auth.Config{Path: filepath.Join(w.Dir, "data", "accounts.toml")})
		if err != nil {
			t.Fatal(err)
		}
		if err := people.Add(smtp.Address{Local: "ann", Domain: "src.test"}, "correct-horse-battery"); err != nil {
			t.Fatal(err)
		}
		w.Receive("mx.good.test", "203.0.113.2:25")
		w.Start(conf)
		for _, c := range []struct{ sender, from, reply string }{
			{"ann@src.test", "ann@src.test", "250"},
			{"ann@shaky.test", "ann@src.test", `550 5\.7\.1`},
			{"ann@src.test", "ann@shaky.test", `550 5\.7\.1`},
			{"", "ann@shaky.test", `550 5\.7\.1`},
		} {
			err := w.DialogueAs(relaytest.Client{To: submission}, "TLS\nS: 220\nC: EHLO x\nS: 250\nPLAIN ann@src.test correct-horse-battery\nS: 235\nC: MAIL FROM:<"+
				c.sender+">\nS: 250\nC: RCPT TO:<b@good.test>\nS: 250\nC: DATA\nS: 354\nC: From: "+c.from+"\nC:\nC: text\nC: .\nS: "+c.reply+"\n")
			if err != nil {
				t.Errorf("as <%s>, From %s: %v", c.sender, c.from, err)
			}
		}
		time.Sleep(time.Hour)
		if n := len(w.Got("")); n != 1 {
			t.Errorf("%d messages passed", n)
		}
	})
}

// TestPromise9TenantGranted names one tenant and sends as another, in the envelope
// and in From; then sends in no tenant's name what only a tenant's key would sign.
// Broken by a maySend or a signer that asks nobody about tenants, by a field that is
// believed anywhere, or left in.
func TestPromise9TenantGranted(t *testing.T) {
	const more = "[[listen]]\nprotocol = \"smtp\"\naddress = \"127.0.0.1:2526\"\ntls = \"off\"\nrelay_from = [\"127.0.0.0/8\"]\ntrust_tenant_header = true\n" +
		"[[dkim]]\ndomain = \"shop.test\"\nselector = \"s\"\nkey = \"s.pem\"\n" +
		"[[tenant]]\nname = \"shop\"\ndomains = [\"shop.test\"]\n[[tenant]]\nname = \"club\"\ndomains = [\"club.test\"]\n"
	promised(t, more, func(t *testing.T, w *relaytest.World, conf string) {
		if _, err := dkim.Generate("ed25519", 0, filepath.Join(w.Dir, "data", "s.pem")); err != nil {
			t.Fatal(err)
		}
		w.Receive("mx.good.test", "203.0.113.2:25")
		w.Start(conf)
		other, trusting := netip.MustParseAddrPort("127.0.0.1:2525"), netip.MustParseAddrPort("127.0.0.1:2526")
		for _, c := range []struct {
			to                   netip.AddrPort
			sender, from, tenant string
			reply                string
			signed               bool
		}{
			{trusting, "a@shop.test", "a@shop.test", "shop", "250", true},
			{trusting, "a@club.test", "a@shop.test", "shop", "550 5.7.1", false},
			{trusting, "a@club.test", "a@shop.test", "club", "550 5.7.1", false},
			{trusting, "a@shop.test", "a@club.test", "shop", "550 5.7.1", false},
			{trusting, "a@shop.test", "a@shop.test", "nobody", "550 5.7.1", false},
			{other, "a@shop.test", "a@shop.test", "shop", "250", false},
		} {
			before := len(w.Got(""))
			err := w.DialogueAs(relaytest.Client{To: c.to}, "S: 220\nC: EHLO x\nS: 250\nC: MAIL FROM:<"+c.sender+
				">\nS: 250\nC: RCPT TO:<b@good.test>\nS: 250\nC: DATA\nS: 354\nC: X-Tenma-Tenant: "+c.tenant+"\nC: From: "+c.from+"\nC:\nC: text\nC: .\nS: "+c.reply+"\n")
			if err != nil {
				t.Errorf("%+v: %v", c, err)
			}
			time.Sleep(time.Hour)
			got := w.Got("")[before:]
			if passed := c.reply == "250"; len(got) != map[bool]int{true: 1}[passed] {
				t.Errorf("%+v: %d messages passed", c, len(got))
			} else if passed && (strings.Contains(string(got[0].Data), "DKIM-Signature:") != c.signed || strings.Contains(string(got[0].Data), "Tenant")) {
				t.Errorf("%+v: %s", c, string(got[0].Data))
			}
		}
	})
}

var submission = netip.MustParseAddrPort("127.0.0.1:2587")
