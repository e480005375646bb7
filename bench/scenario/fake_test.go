package scenario

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/smtp"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"tenma/bench/internet"
	"tenma/bench/peer"
)

// The test binary is also the workers of its own tests.
func TestMain(m *testing.M) {
	if role := os.Getenv("TENMA_TEST_WORKER"); role != "" {
		if err := Work(context.Background(), role, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// tools makes workers of the test binary.
func tools(t *testing.T) Tools {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Processes{Command: func(role string) *exec.Cmd {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), "TENMA_TEST_WORKER="+role)
		return cmd
	}}
}

// fake is a mail server: it takes mail, keeps it in a list that outlives it, and
// sends it on, one message after the other.
type fake struct {
	name   string
	sink   string
	forget bool // what was kept is gone after a start
	again  bool // after a start it sends what it has already sent
	broken bool // does not start
	sign   func([]byte) []byte

	figures map[string]float64

	addr    string
	starts  int
	closed  bool
	stop    context.CancelFunc
	running sync.WaitGroup

	mu   sync.Mutex
	kept []internet.Message
	sent int
	news chan struct{}
}

func (f *fake) Name() string     { return f.name }
func (f *fake) Settings() string { return "" }
func (f *fake) Input() string    { return f.addr }
func (f *fake) Spool() string    { return "" }

func (f *fake) Figures(context.Context) (map[string]float64, error) { return f.figures, nil }

func (f *fake) Prepare(context.Context) (string, error) {
	a, err := freeAddress()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.addr, f.kept, f.sent, f.starts, f.closed = a, nil, 0, 0, false
	return "1.0", err
}

func (f *fake) Start(context.Context) (time.Duration, error) {
	if f.broken {
		return 0, errors.New("out of order")
	}
	if f.starts++; f.starts > 1 && f.forget {
		f.kept, f.sent = nil, 0
	}
	if f.starts > 1 && f.again {
		f.sent = 0
	}
	f.news = make(chan struct{}, 1)
	l, err := net.Listen("tcp", f.addr)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.stop = cancel
	r := internet.NewReceiver("fake.test", internet.Manner{}, 1, f.take)
	f.running.Go(func() { r.Serve(ctx, l) })
	f.running.Go(func() { f.deliver(ctx) })
	return time.Millisecond, nil
}

func (f *fake) take(m internet.Message) {
	f.mu.Lock()
	f.kept = append(f.kept, m)
	f.mu.Unlock()
	select {
	case f.news <- struct{}{}:
	default:
	}
}

// deliver sends what is kept. When the sink is down it asks again soon.
func (f *fake) deliver(ctx context.Context) {
	for ctx.Err() == nil {
		f.mu.Lock()
		some := f.sent < len(f.kept)
		f.mu.Unlock()
		if some && f.send(ctx) == nil {
			continue
		}
		select {
		case <-ctx.Done():
		case <-f.news:
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// send opens a connection and sends until there is no more.
func (f *fake) send(ctx context.Context) error {
	c, err := smtp.Dial(f.sink)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	for ctx.Err() == nil {
		f.mu.Lock()
		if f.sent == len(f.kept) {
			f.mu.Unlock()
			return c.Quit()
		}
		m := f.kept[f.sent]
		f.mu.Unlock()
		if err := errors.Join(c.Mail(m.From), c.Rcpt(m.To[0])); err != nil {
			return err
		}
		w, err := c.Data()
		if err != nil {
			return err
		}
		if data := m.Data; f.sign != nil {
			w.Write(f.sign(data))
		} else {
			w.Write(data)
		}
		if err := w.Close(); err != nil {
			return err
		}
		f.mu.Lock()
		f.sent++
		f.mu.Unlock()
	}
	return nil
}

func (f *fake) Kill() error {
	if f.stop != nil {
		f.stop()
		f.running.Wait()
	}
	return nil
}

func (f *fake) Stop(context.Context) error { return f.Kill() }
func (f *fake) Kick(context.Context) error { return nil }
func (f *fake) Close() error               { f.closed = true; return f.Kill() }

func (f *fake) Processes() ([]int, error) { return []int{os.Getpid()}, nil }

func (f *fake) Usage() (peer.Usage, error) {
	return peer.Usage{User: time.Duration(ownCPU() * float64(time.Second)), RSS: 1 << 20, PSS: 1 << 19, Processes: 3}, nil
}
