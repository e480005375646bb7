package internet_test

import (
	"bufio"
	"context"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tenma/bench/internet"
	"tenma/bench/internet/fakenet"
)

// road gives both ends of a connection; the host's is m's.
func road(t *testing.T, ctx context.Context, m internet.Manner) (client, host io.ReadWriteCloser) {
	t.Helper()
	a, b := fakenet.Pipe(netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("192.0.2.2:25"))
	return a, m.Road(ctx, b, func() float64 { return 0.5 })
}

// What is written at one time arrives at one time, in order, however much it
// is; the first after two round trips; Close waits for it.
func TestRoadIsLongNotNarrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, host := road(t, t.Context(), internet.Manner{RTT: 50 * time.Millisecond, Jitter: 10 * time.Millisecond})
		begin := time.Now()
		for range 20 {
			io.WriteString(host, "x")
		}
		go func() {
			time.Sleep(20 * time.Millisecond) // the second burst is on its way before the first arrives
			io.WriteString(host, "y")
			time.Sleep(time.Second)
			io.WriteString(host, "z")
			host.Close()
		}()
		in := bufio.NewReader(client)
		for _, want := range []struct {
			text string
			at   time.Duration
		}{{strings.Repeat("x", 20), 105 * time.Millisecond}, {"y", 105 * time.Millisecond}, {"z", 1075 * time.Millisecond}} {
			got := make([]byte, len(want.text))
			if _, err := io.ReadFull(in, got); err != nil || string(got) != want.text || time.Since(begin) != want.at {
				t.Errorf("%q (%v) after %v, want %q after %v", got, err, time.Since(begin), want.text, want.at)
			}
		}
		if _, err := in.ReadByte(); err != io.EOF {
			t.Error("the road goes on after Close")
		}
		if _, err := io.WriteString(host, "x"); err == nil {
			t.Error("a closed road takes more")
		}
	})
}

// Jitter does not let a reply overtake another.
func TestRoadKeepsTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := fakenet.Pipe(netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("192.0.2.2:25"))
		late := 1.0
		m := internet.Manner{RTT: time.Millisecond, Jitter: time.Second}
		host := m.Road(t.Context(), b, func() float64 { late /= 4; return late })
		go func() {
			io.WriteString(host, "x")
			io.WriteString(host, "y")
			host.Close()
		}()
		begin := time.Now()
		if got, err := io.ReadAll(a); string(got) != "xy" || err != nil || time.Since(begin) != 252*time.Millisecond {
			t.Errorf("%q, %v after %v", got, err, time.Since(begin))
		}
	})
}

func TestRoadEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		_, host := road(t, ctx, internet.Manner{RTT: time.Hour})
		io.WriteString(host, "x")
		cancel()
		host.Close() // at once
		_, host = road(t, t.Context(), internet.Manner{RTT: time.Millisecond})
		full := 0
		for full < 100 { // the client reads nothing
			if _, err := host.Write(make([]byte, 64<<10)); err != nil {
				break
			}
			full++
		}
		if full == 100 {
			t.Error("what is on the road has no bound")
		}
	})
}

// A Receiver has the manners of distance and chance too.
func TestReceiverFarAway(t *testing.T) {
	for words, want := range map[string]string{
		"tempfail:rcpt=1": "451 4.3.0 Temporary trouble",
		"reject:dot=1":    "554 5.7.1 Rejected",
		"drop:data=1":     "EOF",
		"max-messages=1":  "",
	} {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			n := serve(t, words+" rtt=100ms", nil)
			got := ""
			if err := send(t, n, "b@dst.test", "x\r\n"); err != nil {
				got = strings.ReplaceAll(err.Error(), `"`, "")
			}
			if got != want {
				t.Errorf("%s: %q, want %q", words, got, want)
			}
			if d := time.Since(begin); d < 500*time.Millisecond || d > 700*time.Millisecond || d%(100*time.Millisecond) != 0 {
				t.Errorf("%s: took %v", words, d)
			}
		})
	}
}
