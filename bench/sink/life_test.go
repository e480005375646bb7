package sink

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"tenma/bench/load"
)

// A sink that goes down refuses connections, lets a message end that is under
// way, and tells the others 421; counts stay.
func TestDownAndUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, "run=r")
		waiting, busy := b.dial(t), b.dial(t)
		waiting.say(message("r", 1, "x"), append([]string{"220"}, taken...)...)
		busy.say(envelope+"DATA\r\nX-Bench: r 2\r\n\r\nhalf", "220", "250", "250", "354")
		if err := b.Down(true); err != nil {
			t.Fatal(err)
		}
		waiting.say("", "421 4.3.2", "")
		if _, err := b.net.Dial(t.Context(), netip.Addr{}, netip.MustParseAddrPort(where)); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("a connection to what is down: %v", err)
		}
		time.Sleep(5 * time.Minute) // a pause within a message is no reason
		busy.say("\r\n.\r\n", "250", "421 4.3.2", "")
		synctest.Wait()
		if st := b.Stats(); !st.Down || st.Unique != 2 || st.Open != 0 {
			t.Errorf("%+v", st)
		}
		for range 2 { // twice is as once
			if err := b.Down(false); err != nil {
				t.Fatal(err)
			}
		}
		again := b.dial(t)
		again.say(message("r", 2, "x"), append([]string{"220"}, taken...)...)
		if st := b.Stats(); st.Down || st.Duplicates != 1 || st.Conns != 3 {
			t.Errorf("%+v", st)
		}
		again.Close()
		if err := b.end(); err != nil {
			t.Error(err)
		}
		if err := b.Down(false); err == nil {
			t.Error("a sink that has ended opens again")
		}
	})
}

func TestBeginsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, "")
		if err := b.end(); err != nil {
			t.Fatal(err)
		}
		cfg := b.cfg
		s, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		_ = s.Down(true)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx) }()
		<-s.Ready()
		if _, err := b.net.Dial(ctx, netip.Addr{}, netip.MustParseAddrPort(where)); err == nil {
			t.Error("it is up")
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// The end of Run ends conversations in any state, and leaves nobody behind.
func TestEndsInAnyState(t *testing.T) {
	for _, words := range []string{"", "manner rtt=1h", "manner say:rcpt=stall", "manner wait:rcpt=1h", "manner tarpit=1", "manner tls-broken"} {
		synctest.Test(t, func(t *testing.T) {
			b := start(t, words)
			var all []*client
			for _, text := range []string{"", "MAI", envelope, envelope + "DATA\r\nx", envelope + "BDAT 100\r\nx", "STARTTLS\r\n", strings.Repeat("x", 60_000)} {
				c := b.dial(t)
				if text != "" {
					c.Write([]byte(text))
				}
				all = append(all, c)
			}
			synctest.Wait()
			if err := b.end(); err != nil {
				t.Error(err)
			}
			for _, c := range all {
				c.Close()
			}
		})
	}
}

func TestHostileClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, "")
		c := b.dial(t)
		c.say(strings.Repeat("x", maxLine), "220", "500 5.5.6 Line too long", "")
		c = b.dial(t)
		c.say(strings.Repeat("X\r\n", maxMistakes+1), "220")
		for range maxMistakes + 1 {
			c.say("", "502")
		}
		c.say("", "")
		c = b.dial(t)
		c.say(envelope+"BDAT x\r\n", "220", "250", "250", "501", "")
		c = b.dial(t)
		c.say(envelope+"BDAT -5\r\n", "220", "250", "250", "501", "")
		c = b.dial(t)
		c.say(envelope+"BDAT 99999999999999999999\r\n", "220", "250", "250", "501", "")
		c = b.dial(t)
		c.say("BDAT 5 LAST\r\nQUIT\n\r\n", "220", "503", "502") // the chunk is no command
		c.say("MAIL FROM:\r\nMAIL FROM:<>\r\nMAIL FROM:<>\r\nRCPT\r\nRCPT TO:<\r\nDATA\r\n", "501", "250", "503", "501", "501", "503")
		c.say("rcpt to: <b@c>\r\nbdat 2\r\nx\ndata\r\nRSET\r\nbdat 0 last\r\n", "250", "250", "503", "250", "503")
		c.Close()

		slow := b.dial(t) // a word now and then keeps a connection; silence ends it
		slow.say("", "220")
		for range 5 {
			time.Sleep(idle - idleStep - time.Second)
			slow.say("NOOP\r\n", "250")
		}
		begin := time.Now()
		if got := slow.reply(); got != "" {
			t.Errorf("an idle client hears %q", got)
		}
		if d := time.Since(begin); d < idle-idleStep || d > idle {
			t.Errorf("an idle connection is closed after %v", d)
		}

		deaf := b.dial(t) // asks and never reads
		deaf.SetDeadline(time.Now().Add(time.Hour))
		if _, err := io.Copy(deaf, strings.NewReader(strings.Repeat("NOOP\r\n", 1_000_000))); err == nil {
			t.Error("a client that reads nothing is served for ever")
		}
		synctest.Wait()
		if st := b.Stats(); st.Open != 0 || st.Mistakes < 100 {
			t.Errorf("%+v", st)
		}
	})
}

// BDAT in chunks, pipelined with what follows.
func TestChunking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, "run=r")
		c := b.dial(t)
		c.say("", "220")
		for n := range uint32(3) {
			head := string(load.Tag{Run: "r", N: n}.Append(nil)) + "\r\n"
			body := strings.Repeat("\r\n.\r\n", 20_000*int(n))
			all := head + body
			c.say(envelope+"BDAT 10\r\n"+all[:10]+"BDAT "+itoa(len(all)-10)+" LAST\r\n"+all[10:]+"NOOP\r\n", "250", "250", "250", "250 2.0.0 Taken", "250 2.0.0 Ok")
		}
		if st := b.Stats(); st.Unique != 3 || st.Bytes != 3*16+300_000 {
			t.Errorf("%+v", st)
		}
		c.Close()
	})
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }

func TestAdoptsTheFirstRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, "")
		c := b.dial(t)
		c.say(message("first", 1, "")+message("second", 1, ""), append([]string{"220"}, append(taken, taken...)...)...)
		if st := b.Stats(); st.Run != "first" || st.Unique != 1 || st.Others != 1 {
			t.Errorf("%+v", st)
		}
		b.Reset("second")
		c.say(message("first", 1, "")+message("second", 1, ""), append(taken, taken...)...)
		if st := b.Stats(); st.Run != "second" || st.Unique != 1 || st.Duplicates != 0 || st.Others != 1 || st.PeakConns != 1 {
			t.Errorf("%+v", st)
		}
		c.Close()
	})
}

func TestControl(t *testing.T) {
	cfg, err := Parse(strings.Fields("listen=127.0.0.1:0 control=127.0.0.1:0 run=r"))
	if err != nil {
		t.Fatal(err)
	}
	control := ""
	cfg.Net = func(network, address string) (net.Listener, error) {
		l, err := net.Listen(network, address)
		if err == nil && control == "" { // the control port is opened first
			control = l.Addr().String()
		}
		return l, err
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	<-s.Ready()
	client, err := load.NewControl(control)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Reset(ctx, "r2"); err != nil {
		t.Error(err)
	}
	raw, err := net.Dial("tcp", s.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, raw)
	c.say(message("r2", 7, "")+message("r2", 7, ""), append([]string{"220"}, append(taken, taken...)...)...)
	if st, err := client.Stats(ctx); err != nil || st != s.Stats().SinkStats || st.Unique != 1 || st.Duplicates != 1 {
		t.Errorf("%+v, %v", st, err)
	}
	if all, err := client.Arrivals(ctx, "r2"); err != nil || len(all) != 1 || all[0].N != 7 || all[0].Count != 2 || time.Since(time.Unix(0, all[0].First)) > time.Minute {
		t.Errorf("%+v, %v", all, err)
	}
	if _, err := client.Arrivals(ctx, "r1"); err == nil {
		t.Error("arrivals of a run that is not counted")
	}
	c.Close()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestMode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, "")
		post := func(path string) int {
			w := httptest.NewRecorder()
			b.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, nil))
			return w.Code
		}
		for _, bad := range []string{
			"/mode?manner=nonsense", "/mode?down=2", "/mode?at=x", "/mode?at=x&domain=y&manner=", "/mode?manner=lmtp", "/mode?manner=tempfail:rcpt=2",
			"/mode?mannre=tls", "/reset?run=" + strings.Repeat("x", 65), "/reset?run=a%20b", "/reset?run=%20a", "/mode?manner=tarpit=-1", "/mode?manner=rtt=-1s",
		} {
			if code := post(bad); code != http.StatusBadRequest {
				t.Errorf("%s: %d", bad, code)
			}
		}
		c := b.dial(t)
		c.say(envelope, "220", "250", "250")
		for _, step := range [][2]string{
			{"manner=tempfail:rcpt=1", "451"}, {"domain=dst.test&manner=reject:rcpt=1", "554"}, {"domain=dst.test&manner=none", "451"}, {"at=127.0.0.1&manner=", "250"},
		} {
			if code := post("/mode?" + step[0]); code != http.StatusOK {
				t.Errorf("%v: %d", step, code)
			}
			c.say("RCPT TO:<b@dst.test>\r\n", step[1])
		}
		if code := post("/mode?down=1"); code != http.StatusOK || !b.Stats().Down {
			t.Errorf("down: %d", code)
		}
		c.say("", "421")
		if code := post("/mode?down=0"); code != http.StatusOK || b.Stats().Down {
			t.Errorf("up: %d", code)
		}
		b.dial(t).say("QUIT\r\n", "220", "221", "")
		w := httptest.NewRecorder()
		b.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/reset?run=x", nil))
		if w.Code != http.StatusMethodNotAllowed {
			t.Errorf("GET /reset: %d", w.Code)
		}
	})
}

func TestParse(t *testing.T) {
	cfg, err := Parse(strings.Fields("listen=127.1.0.1-3:25,[::1]:25 control=127.0.0.1:1 name=mx run=r store=d/ store-max=3 store-late max-size=4 seed=5 domain=A.test greylist=1m at=127.1.0.2 tls rtt=50ms manner tempfail=0.5"))
	if err != nil {
		t.Fatal(err)
	}
	addrs, err := Expand(cfg.Listen)
	if err != nil || !slices.Equal(addrs, []string{"127.1.0.1:25", "127.1.0.2:25", "127.1.0.3:25", "[::1]:25"}) {
		t.Errorf("%q, %v", addrs, err)
	}
	if cfg.Control != "127.0.0.1:1" || cfg.Name != "mx" || cfg.Run != "r" || cfg.Store != "d" || cfg.StoreMax != 3 || !cfg.StoreLate || cfg.MaxSize != 4 || cfg.Seed != 5 ||
		cfg.Domains["a.test"].Greylist != time.Minute || cfg.At["127.1.0.2"].TLS == nil || cfg.At["127.1.0.2"].RTT != 50*time.Millisecond || cfg.Manner.TempFail != 0.5 {
		t.Errorf("%+v", cfg)
	}
	for _, words := range []string{
		"nonsense", "store-max=x", "manner nonsense", "manner lmtp", "manner login=a:b", "listen=127.0.0.1", "listen=127.0.0.9-1:25", "listen=127.0.0.1-300:25",
		"listen=[::1-2]:25", "", "manner wait=-1s", "manner tempfail:nowhere=1", "manner drop=0.6 reject=0.6", "manner say:rcpt=", "listen=" + strings.Repeat("127.0.0.0-255:1,", 17) + "127.0.0.1:2",
	} {
		cfg, err := Parse(strings.Fields(words))
		if err == nil {
			_, err = New(cfg)
		}
		if err == nil {
			t.Errorf("%q is taken", words)
		}
	}
}

// Words come from scenario files and over the control port.
func FuzzParse(f *testing.F) {
	f.Add("listen=127.1.0.1-3:25 store-max=1 manner tls rtt=1s say:rcpt=451_x|y domain=*.test drop:dot=0.5")
	f.Add("manner tarpit=1 jitter=1s wait=1s max-messages=3")
	f.Fuzz(func(t *testing.T, words string) {
		cfg, err := Parse(strings.Fields(words))
		if err == nil {
			_, _ = New(cfg)
		}
	})
}
