package sink

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tenma/bench/internet/fakenet"
	"tenma/bench/load"
)

// box is a sink on a network in memory.
type box struct {
	*Sink
	net *fakenet.Net
	end func() error
}

const where = "127.0.0.1:25"

// start runs a sink made of words; inside a bubble.
func start(t *testing.T, words string) *box {
	t.Helper()
	cfg, err := Parse(strings.Fields("listen=" + where + " " + words))
	if err != nil {
		t.Fatal(err)
	}
	b := &box{net: fakenet.New()}
	cfg.Net = b.net.Listen
	if b.Sink, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	<-b.Ready()
	b.end = func() error { cancel(); return <-ended }
	t.Cleanup(func() {
		if cancel(); b.Stats().Open > 100 {
			t.Error("connections never end")
		}
	})
	return b
}

// client is a connection to a sink.
type client struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

func (b *box) dial(t *testing.T) *client {
	t.Helper()
	c, err := b.net.Dial(t.Context(), netip.Addr{}, netip.MustParseAddrPort(where))
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, c)
}

func newClient(t *testing.T, c net.Conn) *client { return &client{t, c, bufio.NewReader(c)} }

// reply reads one reply; "" is the end of the connection.
func (c *client) reply() string {
	c.t.Helper()
	var all []string
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return strings.Join(all, "|")
		}
		line = strings.TrimRight(line, "\r\n")
		all = append(all, line)
		if len(line) < 4 || line[3] != '-' {
			return strings.Join(all, "|")
		}
	}
}

// say writes and checks the beginning of each reply.
func (c *client) say(text string, want ...string) {
	c.t.Helper()
	c.SetDeadline(time.Now().Add(time.Hour))
	if text == "" { // only to listen
	} else if _, err := c.Write([]byte(text)); err != nil {
		c.t.Fatalf("%q: %v", text, err)
	}
	begin := time.Now()
	for i, w := range want {
		if got := c.reply(); !strings.HasPrefix(got, w) || w == "" && got != "" {
			c.t.Fatalf("reply %d to %.100q is %q, want %q", i, text, got, w)
		}
		if d := time.Since(begin); w == "" && d > idle/2 {
			c.t.Fatalf("the connection was closed after %v only", d)
		}
	}
}

const envelope = "MAIL FROM:<a@src.test>\r\nRCPT TO:<b@dst.test>\r\n"

// message is a whole transaction with a tag, pipelined.
func message(run string, n uint32, body string) string {
	return envelope + "DATA\r\n" + string(load.Tag{Run: run, N: n}.Append(nil)) + "Subject: x\r\n\r\n" + body + "\r\n.\r\n"
}

var taken = []string{"250", "250", "354", "250"}

func TestTakesAndCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, "run=r1")
		c := b.dial(t)
		c.say("", "220 sink.test")
		c.say("EHLO x\r\n", "250-sink.test|250-PIPELINING|250-SIZE 104857600|250-8BITMIME|250-SMTPUTF8|250-ENHANCEDSTATUSCODES|250 CHUNKING")
		c.say(message("r1", 0, "one")+message("r1", 70_000, "two"), append(taken, taken...)...)
		c.say(message("r1", 0, "one again"), taken...)
		c.say(message("other", 0, "of another run"), taken...)
		c.say(envelope+"DATA\r\nSubject: no tag\r\n\r\nX-Bench: r1 5\r\n.\r\n", taken...)
		signed := envelope + "DATA\r\nDKIM-Signature: a\r\nx-bench: r1 9\r\ndkim-signature: b;\r\n c\r\n\r\n.\r\n"
		c.say(signed, taken...)
		c.say("QUIT\r\n", "221", "")
		st := b.Stats()
		if st.Total != 4 || st.Unique != 3 || st.Duplicates != 1 || st.Untagged != 2 || st.Others != 1 || st.Signatures != 2 || st.Recipients != 6 || st.Conns != 1 || st.PeakConns != 1 {
			t.Errorf("%+v", st)
		}
		var got []string
		b.Arrivals("r1", func(n, count uint32, first int64) {
			got = append(got, fmt.Sprintf("%d:%d:%v", n, count, first == time.Now().UnixNano()))
		})
		if s := strings.Join(got, " "); s != "0:2:true 9:1:true 70000:1:true" {
			t.Error(s)
		}
		if err := b.end(); err != nil {
			t.Error(err)
		}
	})
}
