package delivery_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"tenma/bench/internet/fakenet"
	"tenma/metrics"
	"tenma/relay/delivery"
	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// wild is a server that answers whatever the dice say. It keeps an honest
// record of which messages it answered with 2yz at the end of their body, and
// of whether it ever said 5yz.
type wild struct {
	mu       sync.Mutex
	dice     []byte
	at       int
	accepted map[string]int // by the name that the body carries
	refused  bool
}

func (w *wild) roll(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.at >= len(w.dice) {
		return 0 // out of dice: well-behaved from here on
	}
	w.at++
	return int(w.dice[w.at-1]) % n
}

// answer says good, most of the time. It reports what it said, and false when
// the connection is to end.
func (w *wild) answer(nc net.Conn, good string) (string, bool) {
	reply := good
	switch w.roll(12) {
	case 1:
		reply = []string{"450 4.2.0 later", "451-4.3.0 a\r\n451 4.3.0 b", "452 4.5.3 too many"}[w.roll(3)]
	case 2:
		reply = []string{"550 5.1.1 never", "552 5.2.2 full", "503 5.5.1 order", "502 what", "521 no mail"}[w.roll(5)]
	case 3:
		reply = "421 4.3.2 closing"
		defer nc.Close() //nolint:errcheck // a test's server
	case 4:
		reply = []string{"banana", "999 x", "25", "250-a\r\n550 b", strings.Repeat("9", 5000), good + "\r\n421 bye"}[w.roll(6)]
	case 5:
		reply = []string{"354 go", "250 ok", "220 x", "334 y"}[w.roll(4)]
	case 6:
		nc.Close() //nolint:errcheck // a test's server
		return "", false
	case 7:
		time.Sleep(time.Duration(w.roll(4)) * time.Minute)
	}
	if strings.Contains(reply, "\n5") || reply[0] == '5' {
		w.mu.Lock()
		w.refused = true
		w.mu.Unlock()
	}
	if _, err := nc.Write([]byte(reply + "\r\n")); err != nil {
		return "", false
	}
	return reply, !strings.HasPrefix(reply, "421")
}

// hasRefused reports that some answer so far was a refusal for good.
func (w *wild) hasRefused() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.refused
}

func (w *wild) serve(nc net.Conn) {
	defer nc.Close() //nolint:errcheck // a test's server
	in := bufio.NewReader(nc)
	if _, ok := w.answer(nc, "220 hi"); !ok {
		return
	}
	extensions := [...]string{"250 hi", "250-hi\r\n250 PIPELINING", "250-hi\r\n250-CHUNKING\r\n250 PIPELINING", "250-hi\r\n250 CHUNKING"}[w.roll(4)]
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		good := "250 ok"
		body := ""
		verb := strings.ToUpper(strings.TrimSpace(line[:min(4, len(line))]))
		switch verb {
		case "EHLO":
			good = extensions
		case "DATA":
			said, ok := w.answer(nc, "354 go")
			if !ok {
				return
			}
			if !strings.HasPrefix(said, "354") {
				continue
			}
			for {
				line, err := in.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				body += line
			}
		case "BDAT":
			var n int
			if _, err := fmt.Sscanf(line, "BDAT %d LAST", &n); err != nil {
				panic(line)
			}
			b := make([]byte, n)
			for i := range b {
				if b[i], err = in.ReadByte(); err != nil {
					return
				}
			}
			body = string(b)
		}
		said, ok := w.answer(nc, good)
		if body != "" && strings.HasPrefix(said, "2") {
			w.mu.Lock()
			w.accepted[strings.TrimSpace(body)]++
			w.mu.Unlock()
		}
		if !ok {
			return
		}
	}
}

// TestRandomServers lets a server answer anything and break anywhere. Whatever
// it does: each attempt is done once, with an outcome for each recipient; Deliver and
// Run return; nothing is sent that the server did not take; and nothing fails
// unless the server said 5yz.
func TestRandomServers(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dice := rapid.SliceOfN(rapid.Byte(), 0, 120).Draw(rt, "dice")
		messages := rapid.IntRange(1, 8).Draw(rt, "messages")
		recipients := rapid.IntRange(1, 4).Draw(rt, "recipients")
		workers := rapid.IntRange(1, 3).Draw(rt, "workers")
		cfg := delivery.Config{
			Hostname:           "relay.test",
			BatchRecipients:    rapid.IntRange(1, 4).Draw(rt, "batch"),
			ConnectionMessages: rapid.IntRange(1, 4).Draw(rt, "limit"),
			LaneConnections:    rapid.IntRange(1, 3).Draw(rt, "lane"),
			NoBDAT:             rapid.Bool().Draw(rt, "nobdat"),
		}
		lmtp := rapid.Bool().Draw(rt, "lmtp")
		cancel := rapid.IntRange(0, 600).Draw(rt, "cancel")
		var complaint string
		synctest.Test(t, func(t *testing.T) {
			complaint = wildRun(t, cfg, dice, messages, recipients, workers, lmtp, time.Duration(cancel)*time.Second)
		})
		if complaint != "" {
			rt.Fatal(complaint)
		}
	})
}

func wildRun(t *testing.T, cfg delivery.Config, dice []byte, messages, recipients, workers int, lmtp bool, cancelAfter time.Duration) (complaint string) {
	var mu sync.Mutex
	complain := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		if complaint == "" {
			complaint = fmt.Sprintf(format, args...)
		}
	}
	w := &wild{dice: dice, accepted: map[string]int{}}
	network := fakenet.New()
	var servers sync.WaitGroup
	var listeners []net.Listener
	for _, host := range []string{"192.0.2.1:25", "192.0.2.2:25"} {
		l, err := network.Listen("tcp", host)
		if err != nil {
			return err.Error()
		}
		listeners = append(listeners, l)
		servers.Go(func() {
			for {
				nc, err := l.Accept()
				if err != nil {
					return
				}
				servers.Go(func() { w.serve(nc) })
			}
		})
	}
	c := delivery.New(cfg, delivery.Deps{Resolver: zone{}, Dialer: network, Metrics: metrics.New(prometheus.NewRegistry()).Delivery})
	ctx, stop := context.WithCancel(t.Context())
	running := make(chan error, 1)
	go func() { running <- c.Run(ctx) }()
	if cancelAfter > 0 {
		defer time.AfterFunc(cancelAfter, stop).Stop()
	}

	queue := make(chan *mail.Attempt, messages)
	for m := range messages {
		a := &mail.Attempt{Route: mail.Route{Kind: mail.ByHost, LMTP: lmtp, Lane: "l", Hosts: []mail.Host{{Name: "192.0.2.1", Port: 25}, {Name: "192.0.2.2", Port: 25, Pref: 1}}}, Envelope: &mail.Envelope{MsgID: fmt.Sprint("m", m)}}
		for r := range recipients {
			a.Envelope.Recipients = append(a.Envelope.Recipients, mail.Recipient{Address: smtp.Address{Local: fmt.Sprint("r", r), Domain: "site.test"}})
			a.To = append(a.To, r)
		}
		setBody(a, a.Envelope.MsgID+"\r\n")
		queue <- a
	}
	taken, finished, sent := map[*mail.Attempt]bool{}, map[*mail.Attempt]bool{}, map[string]bool{}
	next := func() *mail.Attempt {
		select {
		case a := <-queue:
			mu.Lock()
			defer mu.Unlock()
			taken[a] = true
			return a
		default:
			return nil
		}
	}
	done := func(a *mail.Attempt, out []mail.Outcome) {
		mu.Lock()
		again := finished[a]
		finished[a] = true
		mu.Unlock()
		if again || len(out) != len(a.To) {
			complain("done again, or with %d outcomes", len(out))
		}
		for i := range out {
			o := &out[i]
			switch {
			case o.Reply.Code == 0 || o.Command == "":
				complain("an empty outcome: %+v", *o)
			case o.Fate() == mail.Sent:
				mu.Lock()
				sent[a.Envelope.MsgID] = true
				mu.Unlock()
			case o.Fate() == mail.Failed && (o.Host == "" || !w.hasRefused()):
				complain("failed though nobody said so: %+v", *o)
			}
		}
	}
	var callers sync.WaitGroup
	for range workers {
		callers.Go(func() {
			for first := next(); first != nil; first = next() {
				c.Deliver(ctx, first, next, done)
			}
		})
	}
	callers.Wait()
	stop()
	if err := <-running; err != nil {
		complain("Run: %v", err)
	}
	for _, l := range listeners {
		l.Close() //nolint:errcheck // a test's listener
	}
	servers.Wait()
	for a := range taken {
		if !finished[a] {
			complain("%s was taken and never done", a.Envelope.MsgID)
		}
	}
	for m := range sent {
		if w.accepted[m] == 0 {
			complain("%s is said to be sent, but the server did not take it", m)
		}
	}
	return complaint
}

// A lane's sockets are bounded, idle ones included; an idle connection to
// another host makes room.
func TestLaneConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := fakenet.New()
		var mu sync.Mutex // guards sent
		sockets := &counted{network: network}
		var servers sync.WaitGroup
		defer servers.Wait()
		for _, host := range []string{"192.0.2.1:25", "192.0.2.2:25"} {
			l, err := network.Listen("tcp", host)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close() //nolint:errcheck // a test's listener
			servers.Go(func() {
				for {
					nc, err := l.Accept()
					if err != nil {
						return
					}
					servers.Go(func() { sink(slow{nc}, "") })
				}
			})
		}
		m := metrics.New(prometheus.NewRegistry()).Delivery
		c := delivery.New(delivery.Config{Hostname: "relay.test", LaneConnections: 2}, delivery.Deps{Resolver: zone{}, Dialer: sockets, Metrics: m})
		ctx, stop := context.WithCancel(t.Context())
		running := make(chan error, 1)
		go func() { running <- c.Run(ctx) }()
		synctest.Wait()
		sent := 0
		deliver := func(host string) {
			a := &mail.Attempt{Envelope: &mail.Envelope{Recipients: make([]mail.Recipient, 1)}, To: []int{0}, Route: mail.Route{Lane: "l", Hosts: []mail.Host{{Name: host, Addr: netip.MustParseAddr(host), Port: 25}}}}
			setBody(a, "hi\r\n")
			c.Deliver(ctx, a, func() *mail.Attempt { return nil }, func(_ *mail.Attempt, out []mail.Outcome) {
				mu.Lock()
				defer mu.Unlock()
				if out[0].Fate() == mail.Sent {
					sent++
				}
			})
		}
		var callers sync.WaitGroup
		for i := range 20 {
			callers.Go(func() { deliver([]string{"192.0.2.1", "192.0.2.2"}[i%2]) })
		}
		callers.Wait()
		synctest.Wait()
		open, most := sockets.count()
		if sent != 20 || most != 2 {
			t.Errorf("%d of 20 sent, %d sockets at most, want 2", sent, most)
		}
		if open == 0 {
			t.Error("no connection rests")
		}
		time.Sleep(time.Minute + time.Second) // the bubble's: the janitor's turn
		synctest.Wait()
		if n, _ := sockets.count(); n != 0 {
			t.Errorf("%d connections outlived their idle time", n)
		}
		deliver("192.0.2.1")
		stop()
		if err := <-running; err != nil || c.Sockets() != 0 {
			t.Errorf("Run returned %v with %d connections open", err, c.Sockets())
		}
		deliver("192.0.2.1")
		if sent != 21 {
			t.Errorf("%d sent, want 21: behind the stop nothing goes out", sent)
		}
		ctx = t.Context()
		deliver("192.0.2.1")
		if sent != 22 || c.Sockets() != 0 {
			t.Errorf("%d sent, want 22; %d connections rest though nobody minds them", sent, c.Sockets())
		}
	})
}

// counted is a network that counts the sockets on our side: the other side learns
// of a close when its goroutine next runs, and may see a third before that.
type counted struct {
	network    *fakenet.Net
	mu         sync.Mutex
	open, most int
}

func (c *counted) Dial(ctx context.Context, local netip.Addr, to netip.AddrPort) (net.Conn, error) {
	nc, err := c.network.Dial(ctx, local, to)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open++
	c.most = max(c.most, c.open)
	return &countedConn{Conn: nc, of: c}, nil
}

func (c *counted) count() (open, most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open, c.most
}

type countedConn struct {
	net.Conn
	of   *counted
	once sync.Once
}

func (c *countedConn) Close() error {
	c.once.Do(func() {
		c.of.mu.Lock()
		defer c.of.mu.Unlock()
		c.of.open--
	})
	return c.Conn.Close()
}

// slow lets each write take a second, so that calls overlap.
type slow struct{ net.Conn }

func (s slow) Write(p []byte) (int, error) {
	time.Sleep(time.Second)
	return s.Conn.Write(p)
}
