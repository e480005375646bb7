package relay_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tenma/relay/queue"
	"tenma/relay/relaytest"
)

// octets makes a message text of about n octets in lines of random letters, as
// a dialogue sends it and as it arrives.
func octets(n int) (said, arrives string) {
	random := rand.New(rand.NewPCG(1, uint64(n)))
	var a, b strings.Builder
	a.WriteString("C: Subject: large\nC:\n")
	b.WriteString("Subject: large\r\n\r\n")
	line := make([]byte, 76)
	for b.Len() < n {
		for i := range line {
			line[i] = "abcdefghijklmnopqrstuvwxyz.234567"[random.IntN(33)]
		}
		if line[0] == '.' {
			a.WriteString("C: ." + string(line) + "\n")
		} else {
			a.WriteString("C: " + string(line) + "\n")
		}
		b.WriteString(string(line) + "\r\n")
	}
	return a.String(), b.String()
}

// TestLargeMessages sends 10 MiB through, by DATA and by BDAT on the way out,
// with a restart between, so that the body is read back from disk: byte for byte.
func TestLargeMessages(t *testing.T) {
	for _, manner := range []string{"without=CHUNKING", "with=X"} {
		promised(t, "", func(t *testing.T, w *relaytest.World, conf string) {
			w.Receive("mx.good.test", "203.0.113.2:25", manner, "say:mail=451_4.3.0_later")
			w.Start(conf)
			said, arrives := octets(10 << 20)
			send(t, w, "a@src.test", "b@good.test", said)
			time.Sleep(time.Second)
			w.Crash(0)
			w.Receive("mx.good.test", "203.0.113.2:25", manner)
			w.Start(conf)
			time.Sleep(time.Hour)
			synctest.Wait()
			got := w.Got("")
			if len(got) != 1 || !bytes.HasSuffix(got[0].Data, []byte("\r\n"+arrives)) || got[0].Chunking == (manner == "without=CHUNKING") {
				t.Errorf("%s: %d messages, or another body", manner, len(got))
			}
		})
	}
}

// TestLargeDSN returns a message beyond what a DSN can hold in memory, with
// RET=FULL, whole, also when the power fails before the DSN goes out.
func TestLargeDSN(t *testing.T) {
	promised(t, "", func(t *testing.T, w *relaytest.World, conf string) {
		w.Receive("mx.nobody.test", "203.0.113.4:25", "unknown=1")
		w.Start(conf)
		said, arrives := octets(600 << 10)
		text := strings.Replace(sending("a@src.test", "b@nobody.test", said), "HELO", "EHLO", 1)
		if err := w.Dialogue(strings.Replace(text, "a@src.test>", "a@src.test> RET=FULL", 1)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		w.Crash(0)
		w.Receive("mx.src.test", "203.0.113.1:25")
		w.Start(conf)
		time.Sleep(time.Hour)
		synctest.Wait()
		got := w.Got("")
		if len(got) != 1 || got[0].From != "" || !bytes.Contains(got[0].Data, []byte("\r\n"+arrives)) {
			t.Errorf("%d DSNs, or without the whole message", len(got))
		}
	})
}

// TestRestartWithBacklog restarts with 2,000 deferred messages, while new mail
// comes in: each arrives once.
func TestRestartWithBacklog(t *testing.T) {
	const n = 2000
	promised(t, "", func(t *testing.T, w *relaytest.World, conf string) {
		w.Receive("mx.good.test", "203.0.113.2:25", "say:rcpt=451_4.7.1_later")
		w.Receive("mx.shaky.test", "203.0.113.3:25")
		w.Start(conf)
		for first := 0; first < n; first += 100 {
			var b strings.Builder
			b.WriteString("S: 220\nC: HELO x\nS: 250\n")
			for i := range 100 {
				fmt.Fprintf(&b, "C: MAIL FROM:<a@src.test>\nS: 250\nC: RCPT TO:<b@good.test>\nS: 250\nC: DATA\nS: 354\nC: Subject: mark-%04d\nC:\nC: text\nC: .\nS: 250\n", first+i)
			}
			if err := w.Dialogue(b.String()); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if err := w.Stop(); err != nil {
			t.Fatal(err)
		}
		w.Receive("mx.good.test", "203.0.113.2:25")
		w.Start(conf)
		send(t, w, "a@src.test", "b@shaky.test", short)
		time.Sleep(time.Second)
		synctest.Wait()
		if len(w.Got("mx.shaky.test")) != 1 {
			t.Error("the backlog delays new mail to others")
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		seen := map[string]int{}
		mark := regexp.MustCompile(`mark-\d{4}`)
		for _, m := range w.Got("mx.good.test") {
			seen[mark.FindString(string(m.Data))]++
		}
		for m, times := range seen {
			if times != 1 {
				t.Errorf("%s arrived %d times", m, times)
			}
		}
		left, err := w.Relay().Queue().List(context.Background(), queue.Filter{All: true})
		if err != nil || len(seen) != n || len(left) != 0 {
			t.Errorf("%d of %d arrived, %d left, %v", len(seen), n, len(left), err)
		}
	})
}

// TestRetryAtStart lets an operator ask for a retry while the spool still hands
// out what it holds after a crash: no message is forgotten between the two.
func TestRetryAtStart(t *testing.T) {
	promised(t, "", func(t *testing.T, w *relaytest.World, conf string) {
		w.Net.Blackhole(netip.MustParseAddr("203.0.113.2"), true)
		for range 5 {
			w.Start(conf)
			for range 10 {
				send(t, w, "a@src.test", "b@good.test", short)
			}
			w.Crash(0)
		}
		w.Net.Blackhole(netip.MustParseAddr("203.0.113.2"), false)
		w.Receive("mx.good.test", "203.0.113.2:25")
		w.Start(conf)
		if _, err := w.Relay().Queue().Retry(context.Background(), queue.Filter{All: true}); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(w.Got("mx.good.test")); n != 50 {
			t.Errorf("%d of 50 arrived", n)
		}
	})
}

// TestFailedSync breaks the disk under a working relay. From then on clients
// hear 452 and the health check fails; after a restart on what the disk holds,
// each message with a 250 arrives, and none of those without. It runs outside a
// bubble, since a sick store keeps goroutines for good.
func TestFailedSync(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "relay.toml")
	const http8080 = "[[listen]]\nprotocol = \"http\"\naddress = \"127.0.0.1:8080\"\n"
	if err := os.WriteFile(conf, []byte(crashConfig+http8080), 0o600); err != nil {
		t.Fatal(err)
	}
	w := relaytest.New(t, dir, crashZone)
	w.Receive("mx.shaky.test", "203.0.113.3:25")
	w.Start(conf)
	health := func() int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:8080/healthz", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := (&http.Transport{DialContext: w.Net.DialContext, DisableKeepAlives: true}).RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	for i := range 10 { // to a host that is not there: they wait
		send(t, w, "a@src.test", "b@good.test", fmt.Sprintf("C: Subject: acknowledged-%d\nC:\nC: text\n", i))
	}
	if h := health(); h != 200 {
		t.Errorf("healthz of a healthy relay: %d", h)
	}
	w.BreakDisk()
	for i := range 3 {
		refused := strings.Replace(sending("a@src.test", "b@good.test", "C: Subject: refused\nC:\nC: text\n"), "C: .\nS: 250", `C: .`+"\n"+`S: 452 4\.3\.`, 1)
		if err := w.Dialogue(refused); err != nil {
			t.Errorf("message %d on a broken disk: %v", i, err)
		}
	}
	if h := health(); h != 503 {
		t.Errorf("healthz of a sick relay: %d", h)
	}
	// The process dies, and with it its goroutines; the disk is what it is.
	w.CrashSick()
	w.Receive("mx.good.test", "203.0.113.2:25")
	w.Start(conf)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := w.Relay().Queue().Retry(ctx, queue.Filter{All: true}); err != nil {
		t.Error(err)
	}
	if err := w.Await(ctx, "mx.good.test", 10); err != nil {
		t.Error(err)
	}
	send(t, w, "a@src.test", "b@shaky.test", short)
	if err := w.Await(ctx, "mx.shaky.test", 1); err != nil {
		t.Error(err)
	}
	w.Close()
	for _, m := range w.Got("mx.good.test") {
		if !bytes.Contains(m.Data, []byte("Subject: acknowledged-")) {
			t.Errorf("arrived without a 250:\n%s", m.Data)
		}
	}
	if n := len(w.Got("mx.good.test")); n != 10 {
		t.Errorf("%d arrived", n)
	}
}
