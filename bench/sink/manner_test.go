package sink

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tenma/bench/internet"
)

const hello = "EHLO x\r\n"

// Each manner, by what a client sees and what the sink counts.
func TestManners(t *testing.T) {
	all := strings.Join(taken, "\n")
	send := message("r", 1, "x")
	for _, c := range []struct {
		words, say, want string
		check            func(Stats) bool
	}{
		{"", send, all, func(s Stats) bool { return s.Unique == 1 && s.Refused == 0 }},
		{"manner say:connect=554_no", "", "", func(s Stats) bool { return s.RefusedConns == 1 }},
		{"manner reject:connect=1", "", "", func(s Stats) bool { return s.RefusedConns == 1 }},
		{"manner tempfail:connect=1", "", "", func(s Stats) bool { return s.RefusedConns == 1 }},
		{"manner drop:ehlo=1", hello, "", func(s Stats) bool { return s.Dropped == 1 }},
		{"manner helo-only", hello + "HELO x\r\n", "502\n250 sink.test", nil},
		{"manner without=CHUNKING without=pipelining size=5 with=REQUIRETLS", hello, "250-sink.test|250-SIZE 5|250-8BITMIME|250-SMTPUTF8|250-ENHANCEDSTATUSCODES|250 REQUIRETLS", nil},
		{"manner tempfail:rcpt=1", send, "250\n451\n503", func(s Stats) bool { return s.RefusedRecipients == 1 && s.Refused == 1 && s.Unique == 0 }},
		{"manner reject:mail=1", "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "554\n503", func(s Stats) bool { return s.RefusedMessages == 1 }},
		{"manner reject:data=1", envelope + "DATA\r\nQUIT\r\n", "250\n250\n554\n221", func(s Stats) bool { return s.RefusedMessages == 1 }},
		{"manner reject:dot=1", send, "250\n250\n354\n554", func(s Stats) bool { return s.RefusedMessages == 1 && s.Total == 0 }},
		{"manner reject:dot=1 keep", send, "250\n250\n354\n554", func(s Stats) bool { return s.Total == 1 }},
		{"manner tempfail=1", send, "250\n250\n354\n451", func(s Stats) bool { return s.Refused == 1 && s.Total == 0 }},
		{"manner drop:dot=1", send, "250\n250\n354\n", func(s Stats) bool { return s.Dropped == 1 && s.Total == 0 }},
		{"manner say:dot=421_later", send, "250\n250\n354\n421 later\n", nil},
		{"manner say:rcpt=550_one|two", send, "250\n550-one|550 two\n503", nil},
		{"manner user:b=550_gone", send, "250\n550 gone", nil},
		{"manner unknown=1", send, "250\n550 5.1.1 <b@dst.test> User unknown", nil},
		{"manner max-recipients=1", envelope + "RCPT TO:<c@d>\r\n", "250\n250\n452", nil},
		{"manner max-messages=1", send + send, all + "\n421\n", nil},
		{"manner size=5", send, "250\n250\n354\n552", func(s Stats) bool { return s.Refused == 1 && s.Unique == 0 }},
		{"manner tls-required", send, "530\n503\n503", nil},
		{"manner tls", "STARTTLS\r\n", "220", nil},
		{"", "STARTTLS\r\n", "502", func(s Stats) bool { return s.Mistakes == 1 }},
		{"manner tls-broken", "STARTTLS\r\n", "220", nil},
		{"domain=dst.test reject:rcpt=1", send, "250\n554", nil},
		{"domain=DST.test reject:dot=1", send, "250\n250\n354\n554", nil},
		{"domain=*.dst.test reject:rcpt=1", strings.Replace(send, "dst.test", "x.y.DST.test", 1), "250\n554", nil},
		{"domain=dst.test reject:rcpt=1", strings.Replace(send, "dst.test", "DST.Test", 1), "250\n554", nil},
		{"domain=*.dst.test reject:rcpt=1", send, all, nil},
		{"at=127.0.0.1 reject:rcpt=1", send, "250\n554", nil},
		{"at=127.0.0.1:25 reject:rcpt=1 manner drop:connect=1", send, "250\n554", nil},
		{"at=127.0.0.2 reject:rcpt=1", send, all, nil},
		{"at=127.0.0.1 reject:rcpt=1 domain=dst.test", send, all, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			t.Log(c.words)
			b := start(t, c.words)
			client := b.dial(t)
			greeting := "220"
			if strings.Contains(c.words, ":connect") && !strings.Contains(c.words, "at=") {
				greeting = map[bool]string{true: "421", false: "554"}[strings.Contains(c.words, "tempfail")]
			}
			client.say("", greeting)
			if c.say != "" {
				client.say(c.say, strings.Split(c.want, "\n")...)
			} else {
				client.say("", "") // the end of the connection
			}
			synctest.Wait()
			if c.check != nil && !c.check(b.Stats()) {
				t.Errorf("%s: %+v", c.words, b.Stats())
			}
			client.Close()
		})
	}
}

// The place of a client that was told goodbye is free, though that is still on
// the road.
func TestPlaceIsFreeAtGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, "manner max-connections=1 rtt=1s")
		c := b.dial(t)
		c.say("", "220")
		c.say("QUIT\r\n")
		synctest.Wait()
		if n := b.Stats().Open; n != 0 {
			t.Errorf("%d connections", n)
		}
		next := b.dial(t)
		next.say("", "220")
		c.Close()
		next.Close()
	})
}

// A greylist that is full lets through what it cannot remember.
func TestGreylistIsBounded(t *testing.T) {
	g := greylist{seen: map[uint64]int64{}, most: 2}
	for i, want := range []bool{false, false, true, true} {
		if got := g.known([]byte("a"), []byte{byte(i)}, time.Hour); got != want {
			t.Errorf("pair %d is known: %v", i, got)
		}
	}
	if g.known([]byte("a"), []byte{0}, time.Hour) {
		t.Error("a pair that is remembered is let through")
	}
}

// What is not wanted is not kept in memory; a refused message leaves its place
// in the store to another.
func TestStoreIsBounded(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, "store="+dir+" store-max=1 manner size=1000 domain=bad.test reject:dot=1")
		c := b.dial(t)
		c.say(strings.Replace(message("r", 1, "x"), "dst.test", "bad.test", 1), "220", "250", "250", "354", "554")
		c.say(envelope+"DATA\r\n", "250", "250", "354")
		c.say(strings.Repeat("x\r\n", 10_000))
		synctest.Wait()
		b.mu.Lock()
		for s := range b.sessions {
			if len(s.body) > 1000 {
				t.Errorf("%d octets kept", len(s.body))
			}
		}
		b.mu.Unlock()
		c.say(".\r\n", "552")
		c.say(envelope+"DATA\r\n..first\r\n.\r\n", taken...)
		c.say(message("r", 2, "x"), taken...)
		if got, err := os.ReadFile(filepath.Join(dir, "untagged.1.eml")); err != nil || string(got) != ".first\r\n" {
			t.Errorf("%q, %v", got, err)
		}
		if st := b.Stats(); st.Stored != 1 {
			t.Errorf("%+v", st)
		}
		c.Close()
	})
}

func TestGreylist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, "manner greylist=5m")
		c := b.dial(t)
		c.say(envelope+"RCPT TO:<c@dst.test>\r\n", "220", "250", "451", "451")
		time.Sleep(5*time.Minute - 1)
		c.say("RCPT TO:<b@dst.test>\r\n", "451")
		time.Sleep(time.Nanosecond)
		c.say("RCPT TO:<b@dst.test>\r\nRCPT TO:<d@dst.test>\r\n", "250", "451")
		c.say("RSET\r\nMAIL FROM:<other@src.test>\r\nRCPT TO:<b@dst.test>\r\n", "250", "250", "451")
		if st := b.Stats(); st.RefusedRecipients != 5 {
			t.Errorf("%+v", st)
		}
		b.Reset("r")
		c.say("RSET\r\n"+envelope, "250", "250", "451")
		c.Close()
	})
}

// A host far away answers a burst of commands one round trip later, all at
// once; a slow one takes its time for each.
func TestFarAndSlow(t *testing.T) {
	for words, want := range map[string][3]time.Duration{ // greeting, three commands, a message in three bursts
		"":                                {0, 0, 0},
		"manner rtt=50ms":                 {100 * time.Millisecond, 50 * time.Millisecond, 150 * time.Millisecond},
		"manner wait=10ms":                {10 * time.Millisecond, 20 * time.Millisecond, 40 * time.Millisecond},
		"manner wait:rcpt=10ms":           {0, 10 * time.Millisecond, 10 * time.Millisecond},
		"manner wait=10ms wait:rcpt=0s":   {10 * time.Millisecond, 10 * time.Millisecond, 30 * time.Millisecond},
		"manner wait:dot=1s rtt=50ms":     {100 * time.Millisecond, 50 * time.Millisecond, 1150 * time.Millisecond},
		"domain=dst.test wait:rcpt=200ms": {0, 200 * time.Millisecond, 200 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := start(t, words)
			begin := time.Now()
			var got [3]time.Duration
			c := b.dial(t)
			c.say("", "220")
			got[0] = time.Since(begin)
			begin = time.Now()
			c.say(envelope+"RSET\r\n", "250", "250", "250")
			got[1] = time.Since(begin)
			begin = time.Now()
			c.say(envelope, "250", "250")
			c.say("DATA\r\n", "354")
			c.say("x\r\n.\r\n", "250")
			if got[2] = time.Since(begin); got != want {
				t.Errorf("%q: %v, want %v", words, got, want)
			}
			c.say("QUIT\r\n", "221", "") // is on the road, and arrives
		})
	}
}

func TestJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, "manner rtt=50ms jitter=20ms")
		c := b.dial(t)
		c.say("", "220")
		times := map[time.Duration]bool{}
		for range 20 {
			begin := time.Now()
			c.say("NOOP\r\n", "250")
			d := time.Since(begin)
			if d < 50*time.Millisecond || d > 70*time.Millisecond {
				t.Errorf("a round trip of %v", d)
			}
			times[d] = true
		}
		if len(times) < 10 {
			t.Errorf("only %d different times", len(times))
		}
		c.Close()
	})
}

func TestTarpit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, "manner tarpit=100")
		begin := time.Now()
		c := b.dial(t)
		c.say("", "220")                                                                    // 21 octets
		c.say("NOOP "+strings.Repeat("x", 293)+"\r\n", "250")                               // 300 octets, and 14 back
		if d := time.Since(begin); d < 3200*time.Millisecond || d > 3500*time.Millisecond { // the last octets rest behind
			t.Errorf("%v", d)
		}
		c.Close()
	})
}

func TestConnectionLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, "manner max-connections=2")
		one, two, three := b.dial(t), b.dial(t), b.dial(t)
		one.say("", "220")
		two.say("", "220")
		three.say("", "421 4.7.0", "")
		one.say("QUIT\r\n", "221") // and the place is free
		four := b.dial(t)
		four.say("", "220")
		if st := b.Stats(); st.RefusedConns != 1 || st.Conns != 4 || st.PeakConns != 3 || st.Open != 2 {
			t.Errorf("%+v", st)
		}
		one.Close()
		two.Close()
		four.Close()
	})
}

// Chance gives about the parts that were asked for, and the same again with
// the same seed.
func TestChance(t *testing.T) {
	play := func(seed string) (replies string) {
		synctest.Test(t, func(t *testing.T) {
			b := start(t, "seed="+seed+" manner tempfail:rcpt=0.2 reject:rcpt=0.1")
			c := b.dial(t)
			c.say("MAIL FROM:<a@b>\r\n", "220", "250")
			for range 2000 {
				c.say("RCPT TO:<c@d>\r\n")
				replies += c.reply()[:3] + " "
			}
			c.Close()
		})
		return replies
	}
	first := play("1")
	if n := strings.Count(first, "451"); n < 340 || n > 460 {
		t.Errorf("%d of 2000 are 451, want 400", n)
	}
	if n := strings.Count(first, "554"); n < 150 || n > 250 {
		t.Errorf("%d of 2000 are 554, want 200", n)
	}
	if play("1") != first || play("2") == first {
		t.Error("the seed does not decide")
	}
}

func TestTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, "manner tls-required rtt=10ms")
		c := b.dial(t)
		c.say(hello, "220", "250-sink.test|250-PIPELINING|250-SIZE 104857600|250-8BITMIME|250-SMTPUTF8|250-ENHANCEDSTATUSCODES|250-CHUNKING|250 STARTTLS")
		c.say("STARTTLS\r\n"+envelope, "220") // the envelope is not taken for one sent in TLS, nor for a ClientHello
		synctest.Wait()
		secure := tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true})
		c.Conn = secure
		c.in.Reset(secure)
		c.say("RCPT TO:<b@dst.test>\r\n", "503")
		c.say(hello+message("r", 1, strings.Repeat("long line\r\n", 10_000)), append([]string{"250-sink.test"}, taken...)...)
		if st := b.Stats(); st.TLS != 1 || st.Unique != 1 {
			t.Errorf("%+v", st)
		}
		c.say("QUIT\r\n", "221")
		c.Close()
	})
}

func TestStored(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, "store="+filepath.Join(dir, "new")+" store-max=4 manner tempfail:data=0")
		c := b.dial(t)
		c.say("", "220")
		body := "..dots\r\n.\tone\r\n" + strings.Repeat("y", 50_000) + "\r\n..\r\nend"
		c.say(message("a/../b", 1, body), taken...)
		c.say(message("a/../b", 1, "again"), taken...)
		c.say(envelope+"DATA\r\n.\r\n", taken...)
		c.say(envelope+"BDAT 7\r\n..no\r\n.BDAT 0 LAST\r\n", "250", "250", "250", "250")
		c.say(message("a/../b", 2, "one too many"), taken...)
		if b.Stats().Stored != 4 {
			t.Errorf("%+v", b.Stats())
		}
		c.Close()
		for name, want := range map[string]string{
			"a____b.1.eml":   "X-Bench: a/../b 1\r\nSubject: x\r\n\r\n.dots\r\n\tone\r\n" + strings.Repeat("y", 50_000) + "\r\n.\r\nend\r\n",
			"a____b.1.2.eml": "X-Bench: a/../b 1\r\nSubject: x\r\n\r\nagain\r\n",
			"untagged.1.eml": "",
			"untagged.2.eml": "..no\r\n.",
		} {
			if got, err := os.ReadFile(filepath.Join(dir, "new", name)); err != nil || string(got) != want {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		}
		if all, _ := os.ReadDir(filepath.Join(dir, "new")); len(all) != 4 {
			t.Errorf("%d files", len(all))
		}
	})
}

func TestSetManner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, "")
		c := b.dial(t)
		c.say(envelope, "220", "250", "250")
		set := func(place, words string) {
			t.Helper()
			m, err := ParseManner(strings.Fields(words))
			if err == nil {
				err = b.SetManner(place, &m)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		set("@dst.test", "reject:rcpt=1")
		c.say("RCPT TO:<b@dst.test>\r\nRCPT TO:<b@other.test>\r\n", "554", "250")
		set("127.0.0.1", "tempfail:rcpt=1")
		c.say("RCPT TO:<b@dst.test>\r\nRCPT TO:<b@other.test>\r\n", "554", "451")
		if err := b.SetManner("@dst.test", nil); err != nil {
			t.Fatal(err)
		}
		set("", "drop:rcpt=1") // the address has a manner of its own
		c.say("RCPT TO:<b@dst.test>\r\n", "451")
		_ = b.SetManner("127.0.0.1", nil)
		c.say("RCPT TO:<b@dst.test>\r\n", "")
		if err := b.SetManner("", &internet.Manner{LMTP: true}); err == nil {
			t.Error("LMTP is taken")
		}
	})
}
