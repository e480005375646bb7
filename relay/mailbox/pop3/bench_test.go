package pop3

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"

	"tenma/relay/door"
)

// BenchmarkRetrieve fetches messages over loopback and TLS, pipelined in
// twenties: what a client that takes its mail away gets.
func BenchmarkRetrieve(b *testing.B) {
	for _, size := range []int{4 << 10, 64 << 10, 10 << 20} {
		b.Run(fmt.Sprintf("%dK", size>>10), func(b *testing.B) {
			w := newWorld(b, func(c *Config, d *Deps) {
				c.Listeners = []Listener{{Address: "127.0.0.1:0", TLS: door.TLSImplicit}}
				d.Listen = net.Listen
			})
			defer w.stop()
			const batch = 20
			line := strings.Repeat("x", 76) + "\r\n"
			body := strings.Repeat(line, size/len(line))
			for range batch {
				w.box.put(body)
			}
			conn, err := tls.Dial("tcp", w.srv.Addrs()[0].String(), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a test
			if err != nil {
				b.Fatal(err)
			}
			c := &client{conn, bufio.NewReaderSize(conn, 64<<10), w, b}
			c.want("+OK...")
			c.ask("AUTH PLAIN "+b64("\x00ann\x00se cret"), "+OK...")
			var all strings.Builder
			for i := range batch {
				fmt.Fprintf(&all, "RETR %d\r\n", i+1)
			}
			fetch := func(said string, n int) {
				c.raw(said)
				for n > 0 {
					l, err := c.r.ReadSlice('\n')
					if err != nil {
						b.Fatal(err)
					}
					if bytes.Equal(l, []byte(".\r\n")) {
						n--
					}
				}
			}
			fetch(all.String(), batch)
			b.SetBytes(int64(batch * len(body)))
			b.ReportAllocs()
			for b.Loop() {
				fetch(all.String(), batch)
			}
		})
	}
}

// BenchmarkDots is the form in which a message crosses the wire, alone.
func BenchmarkDots(b *testing.B) {
	body := []byte(strings.Repeat(strings.Repeat("x", 76)+"\r\n", 3000))
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		d := &dots{emit: func([]byte) error { return nil }}
		if _, err := d.Write(body); err != nil {
			b.Fatal(err)
		}
	}
}
