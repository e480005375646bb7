package ingress_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"tenma/relay/ingress"
	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// sinkIntake takes everything at once, so that what is measured is the session.
type sinkIntake struct{}

func (sinkIntake) Accept(_ context.Context, _ *mail.Envelope, body io.WriterTo) (spool.ID, error) {
	_, err := body.WriteTo(io.Discard)
	return spool.ID{}, err
}

type openDirectory struct{}

func (openDirectory) Recipient(smtp.Address, bool) error { return nil }

// tally counts the calls on a connection, which are system calls.
type tally struct {
	net.Listener
	reads, writes *atomic.Int64
}

func (l tally) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return tallyConn{c, l}, nil
}

type tallyConn struct {
	net.Conn
	l tally
}

func (c tallyConn) Read(p []byte) (int, error) {
	c.l.reads.Add(1)
	return c.Conn.Read(p)
}

func (c tallyConn) Write(p []byte) (int, error) {
	c.l.writes.Add(1)
	return c.Conn.Write(p)
}

// BenchmarkSession delivers over loopback, the next message's commands behind
// the final dot (DATA), or everything in one write (BDAT).
func BenchmarkSession(b *testing.B) {
	for _, size := range []int{4 << 10, 64 << 10} {
		body := strings.Repeat(strings.Repeat("x", 76)+"\r\n", size/78)
		head := "MAIL FROM:<x@far.test>\r\nRCPT TO:<ann@ours.test>\r\n"
		for _, way := range []struct {
			name, first, each string
			replies           int
		}{
			{"DATA", head + "DATA\r\n", body + ".\r\n" + head + "DATA\r\n", 4},
			{"BDAT", "NOOP\r\nNOOP\r\nNOOP\r\n", head + fmt.Sprintf("BDAT %d LAST\r\n", len(body)) + body, 3},
		} {
			b.Run(fmt.Sprintf("%s/%dKiB", way.name, size>>10), func(b *testing.B) {
				var reads, writes atomic.Int64
				s := ingress.New(ingress.Config{
					Hostname:  "mx.test",
					Listeners: []ingress.Listener{{Address: "127.0.0.1:0", TLS: ingress.TLSOff, RelayFrom: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}},
					Limits:    ingress.Limits{Messages: 1 << 30},
				}, ingress.Deps{
					Intake: sinkIntake{}, Directory: openDirectory{}, Log: slog.New(slog.DiscardHandler),
					Listen: func(network, address string) (net.Listener, error) {
						l, err := net.Listen(network, address)
						return tally{l, &reads, &writes}, err
					},
				})
				if err := s.Listen(); err != nil {
					b.Fatal(err)
				}
				ctx, cancel := context.WithCancel(b.Context())
				done := make(chan error, 1)
				go func() { done <- s.Run(ctx) }()
				b.Cleanup(func() { cancel(); <-done })
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					c, err := net.Dial("tcp", s.Addrs()[0].String())
					if err != nil {
						b.Error(err)
						return
					}
					defer func() { _ = c.Close() }()
					r := bufio.NewReader(c)
					replies := func(n int) {
						for n > 0 {
							line, err := r.ReadSlice('\n')
							if err != nil || line[0] == '5' || line[0] == '4' {
								b.Errorf("%q, %v", line, err)
								return
							}
							if !bytes.HasPrefix(line[3:], []byte("-")) {
								n--
							}
						}
					}
					send := func(s string) {
						if _, err := c.Write([]byte(s)); err != nil {
							b.Error(err)
						}
					}
					send("EHLO x\r\n")
					replies(2)
					send(way.first)
					replies(3)
					each := []byte(way.each)
					for pb.Next() && !b.Failed() {
						if _, err := c.Write(each); err != nil {
							b.Error(err)
						}
						replies(way.replies)
					}
				})
				b.ReportMetric(float64(reads.Load())/float64(b.N), "reads/op")
				b.ReportMetric(float64(writes.Load())/float64(b.N), "writes/op")
			})
		}
	}
}
