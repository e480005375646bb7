package delivery_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"tenma/metrics"
	"tenma/relay/delivery"
	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// sink takes everything, with pipelining and as fast as it can be done in a
// few lines: it answers what came in one Read in one Write.
func sink(nc net.Conn, extensions string) {
	defer nc.Close() //nolint:errcheck // a test's sink
	in := bufio.NewReaderSize(nc, 32<<10)
	var out []byte
	say := func(s string) { out = append(append(out, s...), '\r', '\n') }
	say("220 sink")
	for {
		if in.Buffered() == 0 {
			if _, err := nc.Write(out); err != nil {
				return
			}
			out = out[:0]
		}
		line, err := in.ReadSlice('\n')
		if err != nil {
			return
		}
		switch {
		case bytes.HasPrefix(line, []byte("EHLO")):
			out = append(out, "250-sink\r\n"+extensions+"250 PIPELINING\r\n"...)
		case bytes.HasPrefix(line, []byte("DATA")):
			say("354 go")
			if _, err := nc.Write(out); err != nil {
				return
			}
			out = out[:0]
			for !bytes.Equal(line, []byte(".\r\n")) {
				if line, err = in.ReadSlice('\n'); err != nil {
					return
				}
			}
			say("250 2.0.0 ok queued as 123456")
		case bytes.HasPrefix(line, []byte("BDAT")):
			var n int
			for _, c := range line[5:] {
				if c < '0' || c > '9' {
					break
				}
				n = n*10 + int(c-'0')
			}
			if _, err := in.Discard(n); err != nil {
				return
			}
			say("250 2.0.0 ok queued as 123456")
		case bytes.HasPrefix(line, []byte("QUIT")):
			_, _ = io.WriteString(nc, "221 bye\r\n")
			return
		default:
			say("250 2.1.0 ok")
		}
	}
}

// BenchmarkDeliver sends messages over ten connections to sinks in the same
// process, through the loopback device: run with -cpu 1 for one core.
func BenchmarkDeliver(b *testing.B) {
	for _, mode := range []string{"DATA", "BDAT"} {
		for _, size := range []int{4 << 10, 100 << 10} {
			b.Run(fmt.Sprintf("%s/%dKiB", mode, size>>10), func(b *testing.B) { benchmark(b, mode, size) })
		}
	}
}

type memory struct{ text []byte }

func (m *memory) Read(p []byte) (int, error) { panic("WriteTo is there") }
func (m *memory) Close() error               { return nil }
func (m *memory) Size() int64                { return int64(len(m.text)) }
func (m *memory) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(m.text)
	return int64(n), err
}

func benchmark(b *testing.B, mode string, size int) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	extensions := ""
	if mode == "BDAT" {
		extensions = "250-CHUNKING\r\n"
	}
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go sink(nc, extensions)
		}
	}()
	defer l.Close() //nolint:errcheck // a test's listener
	addr := netip.MustParseAddrPort(l.Addr().String())
	c := delivery.New(delivery.Config{Hostname: "relay.test", PrivateDestinations: true, ConnectionMessages: 1000}, delivery.Deps{Resolver: zone{}, Metrics: metrics.New(prometheus.NewRegistry()).Delivery})
	text := []byte(strings.Repeat(strings.Repeat("x", 70)+"\r\n", size/72))
	body := &memory{text}
	header := []byte("DKIM-Signature: " + strings.Repeat("y", 500) + "\r\n")
	env := &mail.Envelope{Sender: smtp.Address{Local: "a", Domain: "sender.test"}, Recipients: []mail.Recipient{{Address: smtp.Address{Local: "b", Domain: "site.test"}}}, Size: int64(len(text))}
	hosts := []mail.Host{{Name: "mx.test", Addr: addr.Addr(), Port: addr.Port()}}
	to := []int{0}
	var given, sent atomic.Int64
	next := func() *mail.Attempt {
		if given.Add(1) > int64(b.N) {
			return nil
		}
		return &mail.Attempt{Envelope: env, To: to, Header: header, Route: mail.Route{Lane: "l", Hosts: hosts}, Open: func(context.Context) (spool.Body, error) { return body, nil }}
	}
	done := func(_ *mail.Attempt, out []mail.Outcome) {
		if out[0].Fate() != mail.Sent {
			b.Error(out[0])
		}
		sent.Add(1)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if first := next(); first != nil {
				c.Deliver(b.Context(), first, next, done)
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	if sent.Load() != int64(b.N) {
		b.Error(sent.Load(), b.N)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
}
