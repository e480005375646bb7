package sink

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"tenma/bench/internet"
	"tenma/bench/load"
)

// child names the environment variable that makes TestServe a server.
const child = "TENMA_BENCH_SINK_CHILD"

// TestServe is no test: BenchmarkCPU runs it in a process of its own, whose
// time on the processor it can tell. It serves until its input ends.
func TestServe(t *testing.T) {
	kind := os.Getenv(child)
	if kind == "" {
		t.Skip("only for BenchmarkCPU")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	if kind == "receiver" {
		r := internet.NewReceiver("sink.test", internet.Manner{}, 1, nil)
		go func() { ended <- r.Serve(ctx, l) }()
	} else {
		cfg := Config{Listen: []string{"127.0.0.1:0"}, Run: "b", Net: func(string, string) (net.Listener, error) { return l, nil }}
		if kind == "far" {
			cfg.Manner.RTT = 1 // the cost of the road itself
		}
		s, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		go func() { ended <- s.Run(ctx) }()
	}
	fmt.Fprintln(os.Stderr, l.Addr())
	io.Copy(io.Discard, os.Stdin)
	cancel()
	<-ended
}

// BenchmarkCPU tells what a message costs the server, in seconds of processor
// time for a thousand: 50 connections, MAIL, RCPT and DATA in one write, then
// the message.
func BenchmarkCPU(b *testing.B) {
	for _, size := range []int{4 << 10, 64 << 10} {
		for _, kind := range []string{"sink", "receiver", "far"} {
			b.Run(fmt.Sprintf("%s/%dKiB", kind, size>>10), func(b *testing.B) {
				c := exec.Command(os.Args[0], "-test.run=^TestServe$")
				c.Env = append(os.Environ(), child+"="+kind)
				in, err := c.StdinPipe()
				if err != nil {
					b.Fatal(err)
				}
				told, err := c.StderrPipe()
				if err != nil {
					b.Fatal(err)
				}
				if err := c.Start(); err != nil {
					b.Fatal(err)
				}
				address, err := bufio.NewReader(told).ReadString('\n')
				if err != nil {
					b.Fatal(err)
				}
				b.ResetTimer()
				drive(b, strings.TrimSpace(address), size)
				b.StopTimer()
				in.Close()
				if err := c.Wait(); err != nil {
					b.Fatal(err)
				}
				cpu := c.ProcessState.UserTime() + c.ProcessState.SystemTime()
				b.ReportMetric(cpu.Seconds()/float64(b.N)*1000, "cpu-s/1000")
			})
		}
	}
}

// drive sends b.N messages.
func drive(b *testing.B, address string, size int) {
	var next atomic.Int64
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			c, err := net.Dial("tcp", address)
			if err != nil {
				b.Error(err)
				return
			}
			defer c.Close()
			in := bufio.NewReader(c)
			expect := func(n int) {
				for range n {
					if _, err := in.ReadSlice('\n'); err != nil {
						b.Error(err)
						return
					}
				}
			}
			expect(1)
			body := strings.Repeat(strings.Repeat("x", 76)+"\r\n", size/78) + ".\r\n"
			for {
				n := next.Add(1) - 1
				if n >= int64(b.N) || b.Failed() {
					return
				}
				io.WriteString(c, envelope+"DATA\r\n")
				expect(3)
				io.WriteString(c, string(load.Tag{Run: "b", N: uint32(n)}.Append(nil))+"\r\n"+body)
				expect(1)
			}
		})
	}
	all.Wait()
}
