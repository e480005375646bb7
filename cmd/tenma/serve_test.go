package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"tenma/cmd/tenma/cli"
	"tenma/cmd/tenma/service"
	"tenma/relay"
	"tenma/relay/config"
)

// sink is a next hop that takes one message and gives its text.
func sink(t *testing.T) (address string, got <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	messages := make(chan string, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return // the test has ended
		}
		defer c.Close()
		in := bufio.NewReader(c)
		fmt.Fprint(c, "220 sink\r\n")
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			if line != "DATA\r\n" {
				fmt.Fprint(c, "250 ok\r\n")
				continue
			}
			fmt.Fprint(c, "354 go on\r\n")
			var text strings.Builder
			for line, err = in.ReadString('\n'); err == nil && line != ".\r\n"; line, err = in.ReadString('\n') {
				text.WriteString(line)
			}
			messages <- text.String()
			fmt.Fprint(c, "250 ok\r\n")
		}
	}()
	return l.Addr().String(), messages
}

// The whole program as an operator runs it: start, a message in, the message
// out, the operator's HTTP, reload, drain.
func TestServe(t *testing.T) {
	to, got := sink(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "tenma.toml")
	text := `hostname = "mx.sender.test"
data_dir = "data"
listen = [
  { protocol = "smtp", address = "127.0.0.1:0", relay_from = ["127.0.0.0/8"] },
  { protocol = "http", address = "127.0.0.1:0" },
]
spool = { min_free_disk = "1MiB" } # however full the machine is
route = [{ domain = "*", to = "smtp://` + to + `" }]
`
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(text)
	out, stdout := io.Pipe()
	logged, stderr := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(context.Background(), []string{"serve", "-c", path}, &console{cli.Console{In: strings.NewReader(""), Out: stdout, Err: stderr}})
		stdout.Close()
		stderr.Close()
	}()
	screen := bufio.NewScanner(out)
	until := func(want string) []string {
		t.Helper()
		for screen.Scan() {
			if m := regexp.MustCompile(want).FindStringSubmatch(screen.Text()); m != nil {
				return m
			}
		}
		t.Fatalf("%q was never printed", want)
		return nil
	}
	smtpAt := until(`^  smtp +(127\.0\.0\.1:\d+) +STARTTLS, relays for 127\.0\.0\.0/8 and whoever logs in$`)[1]
	httpAt := until(`^  http +127\.0\.0\.1:\d+ +(http://127\.0\.0\.1:\d+/) `)[1]
	until(`swaks --server ` + smtpAt)
	go io.Copy(io.Discard, out) //nolint:errcheck // ends with the program
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		for log := bufio.NewScanner(logged); log.Scan(); {
			lines <- log.Text()
		}
	}()
	await := func(want string) {
		t.Helper()
		for line := range lines {
			if strings.Contains(line, want) {
				return
			}
		}
		t.Fatalf("%q was never logged", want)
	}

	if err := send(smtpAt); err != nil {
		t.Fatal(err)
	}
	if m := <-got; !strings.Contains(m, "by mx.sender.test") || !strings.HasSuffix(m, "Subject: hello\r\n\r\nwords\r\n") {
		t.Errorf("delivered:\n%s", m)
	}
	again := exec.Command("tenma", "serve", "-c", path)
	again.Path, again.Err = os.Args[0], nil // which is the program under that name; see TestMain
	if told, err := again.CombinedOutput(); err == nil || !strings.Contains(string(told), "another relay is using "+filepath.Join(dir, "data")) {
		t.Errorf("a second relay on the same data: %v, %s", err, told)
	}
	res, err := http.Get(httpAt + "readyz")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 {
		t.Errorf("readyz: %s", res.Status)
	}

	signal := func(s os.Signal) {
		p, err := os.FindProcess(os.Getpid())
		if err == nil {
			err = p.Signal(s)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write(text + "colour = \"blue\"\n")
	signal(syscall.SIGHUP)
	await(`the former stays in force: ` + path + `:9:1: unknown key`)
	write(text)
	signal(syscall.SIGHUP)
	await("configuration reloaded")
	signal(syscall.SIGTERM)
	await("stopped")
	if c := <-code; c != 0 {
		t.Errorf("exit code %d", c)
	}
}

// send hands one message in.
func send(address string) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	in := bufio.NewScanner(c)
	for _, step := range []struct{ send, want string }{
		{"", "220 "},
		{"HELO client.test", "250 "},
		{"MAIL FROM:<ann@sender.test>", "250 "},
		{"RCPT TO:<bob@rcpt.test>", "250 "},
		{"DATA", "354 "},
		{"Subject: hello\r\n\r\nwords\r\n.", "250 "},
		{"QUIT", "221 "},
	} {
		if step.send != "" {
			fmt.Fprintf(c, "%s\r\n", step.send)
		}
		if !in.Scan() || !strings.HasPrefix(in.Text(), step.want) {
			return fmt.Errorf("%q was answered %q", step.send, in.Text())
		}
	}
	return nil
}

// hanging is a relay whose drain never ends.
type hanging struct{ draining chan struct{} }

func (h *hanging) Run(ctx context.Context) error {
	<-ctx.Done()
	close(h.draining)
	select {}
}
func (*hanging) Reload(*config.Config) error { return nil }
func (*hanging) Addrs() relay.Addrs          { return relay.Addrs{} }

// The second signal does not wait.
func TestSecondSignal(t *testing.T) {
	h := &hanging{make(chan struct{})}
	signals := make(chan os.Signal)
	result := make(chan error)
	go func() {
		result <- (&serveCommand{}).serve(context.Background(), h, slog.New(slog.DiscardHandler), signals, service.Manager{})
	}()
	signals <- syscall.SIGINT
	<-h.draining
	signals <- syscall.SIGTERM
	if err := <-result; !errors.Is(err, errNow) {
		t.Errorf("serve: %v", err)
	}
}

// systemd hears of the start, of a reload (also of one that fails) and of the stop.
func TestManagerIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	hears := func(want string) {
		t.Helper()
		b := make([]byte, 1000)
		n, err := l.Read(b)
		if err != nil || !strings.HasPrefix(string(b[:n]), want+"\n") {
			t.Errorf("%q, %v, want %s", b[:n], err, want)
		}
	}
	manager := service.Find(func(string) string { return path }, slog.New(slog.DiscardHandler))
	h := &hanging{make(chan struct{})}
	signals := make(chan os.Signal)
	result := make(chan error)
	x := &serveCommand{}
	x.Config = filepath.Join(t.TempDir(), "missing.toml")
	go func() { result <- x.serve(context.Background(), h, slog.New(slog.DiscardHandler), signals, manager) }()
	hears("READY=1")
	signals <- syscall.SIGHUP
	hears("RELOADING=1")
	hears("READY=1")
	signals <- syscall.SIGTERM
	hears("STOPPING=1")
	<-h.draining
	signals <- syscall.SIGTERM
	<-result
}

// A relay that fails ends the program with its error.
type failing struct{ hanging }

func (failing) Run(context.Context) error { return errors.New("the disk is gone") }

func TestFailure(t *testing.T) {
	err := (&serveCommand{}).serve(context.Background(), &failing{}, slog.New(slog.DiscardHandler), nil, service.Manager{})
	if err == nil || err.Error() != "the disk is gone" {
		t.Errorf("serve: %v", err)
	}
}

func TestPortInUse(t *testing.T) {
	taken, _ := sink(t)
	path := filepath.Join(t.TempDir(), "tenma.toml")
	text := "hostname = \"mx.sender.test\"\nlisten = [{ protocol = \"smtp\", address = \"" + taken + "\", tls = \"off\", relay_from = [\"127.0.0.1\"] }]\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var told bytes.Buffer
	if c := run(context.Background(), []string{"serve", "-c", path}, &console{cli.Console{Out: io.Discard, Err: &told}}); c != 1 || !strings.Contains(told.String(), taken) || !strings.Contains(told.String(), "stop what listens there") {
		t.Errorf("exit code %d: %s", c, told.String())
	}
}

// A newcomer is told how to send, and how to have a mailbox.
func TestGreeting(t *testing.T) {
	cfg, err := config.Default()
	if err != nil {
		t.Fatal(err)
	}
	a := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 2993}
	var out bytes.Buffer
	greet(&out, cfg, relay.Addrs{SMTP: []net.Addr{a, a, a}, IMAP: []net.Addr{a, a}, POP3: []net.Addr{a, a}, HTTP: []net.Addr{a}})
	for _, want := range []string{"imap  127.0.0.1:2993         mailboxes, STARTTLS", "pop3 ", "user add me@localhost", "'imaps://127.0.0.1:2993/INBOX;MAILINDEX=1'"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

// Without a listener that this machine may use, nothing is suggested.
func TestGreetingWithoutDoor(t *testing.T) {
	cfg, err := config.Default()
	if err != nil {
		t.Fatal(err)
	}
	cfg.Ingress.Listeners = cfg.Ingress.Listeners[1:]
	a := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 25}
	var out bytes.Buffer
	greet(&out, cfg, relay.Addrs{SMTP: []net.Addr{a, a}, HTTP: []net.Addr{a}})
	if strings.Contains(out.String(), "first message") || !strings.Contains(out.String(), "submission, TLS, AUTH required") {
		t.Errorf("%s", out.String())
	}
}
