//go:build interop

// Tests that run the finished binary beside foreign programs.
package main

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what takes a moment on an idle machine. It
// says nothing of how fast anything must be: whoever waits that long has failed,
// on whatever machine.
const patience = 90 * time.Second

// binary gives the binary, which is built once for all tests.
func binary(t *testing.T) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "tenma-interop")
	if err != nil {
		return "", err
	}
	atEnd = append(atEnd, func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "tenma")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
})

// freePort gives a port of host for a server that is started later. It is below
// those that the kernel gives to outgoing connections, or one of them might have it
// by then; and it is given once only.
func freePort(t *testing.T, host string) string {
	t.Helper()
	var err error
	for range 1000 {
		addr := net.JoinHostPort(host, strconv.Itoa(ports()))
		var l net.Listener
		if l, err = net.Listen("tcp", addr); err == nil {
			l.Close()
			return addr
		}
	}
	t.Fatalf("no free port: %v", err)
	return ""
}

// ports gives one port after the other, from anywhere: other tests may run beside
// these.
var ports = func() func() int {
	const first = 12_000
	last := 32_768 // Linux's default
	if text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		fmt.Sscan(string(text), &last)
	}
	if last < first+1000 {
		last = 1 << 16 // all are for outgoing connections
	}
	var n atomic.Uint64
	n.Store(rand.Uint64N(1 << 32))
	return func() int { return first + int(n.Add(1)%uint64(last-first)) }
}()

// relayd is a running relay of the finished binary.
type relayd struct {
	t    *testing.T
	cmd  *exec.Cmd
	smtp string
	conf string
	out  *transcript
}

// startRelay runs "serve" of bin on a configuration, behind wrap (strace, say),
// and returns when it greets. extra is appended to the configuration, whose data
// directory is dir.
func startRelay(t *testing.T, bin, dir, smtp, extra string, wrap ...string) *relayd {
	t.Helper()
	conf := filepath.Join(dir, "tenma.toml")
	text := fmt.Sprintf("hostname = \"relay.test\"\ndata_dir = %q\n[[listen]]\nprotocol = \"smtp\"\naddress = %q\ntls = \"off\"\nrelay_from = [\"127.0.0.0/8\"]\n%s", filepath.Join(dir, "data"), smtp, extra)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	args := append(wrap, bin, "serve", "-c", conf)
	r := &relayd{t: t, cmd: exec.Command(args[0], args[1:]...), smtp: smtp, conf: conf, out: newTranscript("admin token in")}
	r.cmd.Stdout, r.cmd.Stderr = r.out, r.out
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.kill() })
	select {
	case <-r.out.said: // it listens
	case <-time.After(patience):
		t.Fatalf("the relay does not come up: %s", r.out)
	}
	v, err := converse(smtp)
	if err != nil {
		t.Fatalf("the relay does not greet: %v\n%s", err, r.out)
	}
	v.Close()
	return r
}

// kill ends the relay at once, as kill -9 does; with wrap, the whole group.
func (r *relayd) kill() {
	if r.cmd.ProcessState == nil {
		syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL)
		r.cmd.Wait()
	}
}

// term drains it and fails the test unless it exits with 0.
func (r *relayd) term() {
	r.t.Helper()
	syscall.Kill(-r.cmd.Process.Pid, syscall.SIGTERM)
	stuck := time.AfterFunc(patience, func() { syscall.Kill(-r.cmd.Process.Pid, syscall.SIGQUIT) }) // it shows where
	defer stuck.Stop()
	if err := r.cmd.Wait(); err != nil {
		r.t.Errorf("after SIGTERM: %v\n%s", err, r.out)
	}
}

// conversation is a client that speaks SMTP a line at a time.
type conversation struct {
	net.Conn
	in *bufio.Reader
}

func converse(addr string) (*conversation, error) {
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, err
	}
	v := &conversation{c, bufio.NewReader(c)}
	if _, err = v.reply(); err == nil {
		_, err = v.ask("EHLO client.test\r\n")
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return v, nil
}

// reply reads one reply and gives its last line; 4yz and 5yz are errors.
func (v *conversation) reply() (string, error) {
	v.SetDeadline(time.Now().Add(patience))
	for {
		line, err := v.in.ReadString('\n')
		if err != nil {
			return "", err
		}
		if len(line) > 3 && line[3] == '-' {
			continue
		}
		line = strings.TrimRight(line, "\r\n")
		if line == "" || line[0] > '3' {
			return line, fmt.Errorf("refused: %s", line)
		}
		return line, nil
	}
}

func (v *conversation) ask(text string) (string, error) {
	v.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(v, text); err != nil {
		return "", err
	}
	return v.reply()
}

// send hands in one message, pipelined, and gives the final reply.
func (v *conversation) send(from, to, body string) (string, error) {
	v.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintf(v, "MAIL FROM:<%s>\r\nRCPT TO:<%s>\r\nDATA\r\n", from, to); err != nil {
		return "", err
	}
	for range 3 {
		if _, err := v.reply(); err != nil {
			return "", err
		}
	}
	return v.ask(body + "\r\n.\r\n")
}
