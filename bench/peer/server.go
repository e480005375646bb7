package peer

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Setup is what a scenario asks of a mail server.
type Setup struct {
	Work        string        // folder of what Install brought
	Run         string        // the server's own folder, emptied by Prepare
	Tenma       string        // binary of tenma
	Route       string        // "smarthost" or "mx"
	Sink        string        // host:port of the smarthost
	MXPort      int           // port of MX hosts; only tenma can use another than 25
	DNS         string        // host:port of the name server, "" for the system's
	Retry       time.Duration // between attempts; whole seconds
	Connections int           // most to one destination; 0: the driver's own choice
	DKIMKey     string        // PEM file, "" to sign nothing
	TLSIn       bool          // STARTTLS is offered
	TLSOut      bool          // STARTTLS is used where it is offered
	Cert, Key   string        // PEM files for TLSIn
	Kind        string        // of run: "plain", "backlog", "kill", "restart", "queued", "syncs"
	CPUs        string        // processors that it may run on, as taskset has them: "0", "0-1"; "" for all
	Extra       []string      // lines of the server's own configuration
}

// startTime bounds how long a server may take from its start to the greeting.
const startTime = 2 * time.Minute

// Server is a mail server in a box of its own.
type Server struct {
	driver Driver
	setup  Setup
	box    Box
	script string // file with the driver
	input  string
	spool  string
	port   [2]int

	metrics  string // URL, "" for none
	settings string
}

// New gives a server; nothing is started or written.
func New(d Driver, s Setup, b Box) *Server { return &Server{driver: d, setup: s, box: b} }

// Name is the driver's.
func (s *Server) Name() string { return s.driver.Name }

// Input is where the server takes mail, host:port. It is known after Prepare.
func (s *Server) Input() string { return s.input }

// Spool is the folder in which it keeps mail, "" for none. It is known after
// Prepare.
func (s *Server) Spool() string { return s.spool }

// Settings are what the driver says of its configuration, and the lines that a
// scenario put there. They are known after Prepare.
func (s *Server) Settings() string {
	all := slices.Clone(s.setup.Extra)
	if s.settings != "" {
		all = slices.Insert(all, 0, s.settings)
	}
	if s.setup.CPUs != "" {
		all = append(all, "processors "+s.setup.CPUs)
	}
	return strings.Join(all, "; ")
}

// Prepare empties the server's folder, writes its configuration there, and
// gives its version.
func (s *Server) Prepare(ctx context.Context) (version string, err error) {
	if s.driver.Root() && os.Geteuid() != 0 {
		return "", fmt.Errorf("%s needs root: run the comparison with sudo", s.driver.Name)
	}
	for i := range s.port {
		if s.port[i], err = freePort(); err != nil {
			return "", err
		}
	}
	if err := os.RemoveAll(s.setup.Run); err != nil {
		return "", fmt.Errorf("emptying the folder of %s: %w", s.driver.Name, err)
	}
	// Servers give up root and must get through to their spool.
	if err := os.MkdirAll(s.setup.Run, 0o755); err != nil {
		return "", fmt.Errorf("making the folder of %s: %w", s.driver.Name, err)
	}
	s.script = filepath.Join(s.setup.Run, "driver.sh")
	if err := os.WriteFile(s.script, []byte(s.driver.Script), 0o644); err != nil {
		return "", fmt.Errorf("writing the driver of %s: %w", s.driver.Name, err)
	}
	const tell = `echo "$INPUT"; echo "$SPOOL"; echo "$METRICS"; mta_version | head -1; if type mta_settings > /dev/null 2>&1; then mta_settings; fi; `
	out, err := s.output(ctx, tell+`set -e; mta_config`)
	if cannot := (&cannotError{}); errors.As(err, &cannot) {
		return "", cannot
	}
	if err != nil {
		return "", fmt.Errorf("configuring %s: %w (is it installed? tenma bench run --install)", s.driver.Name, err)
	}
	lines := strings.SplitN(strings.TrimSpace(out), "\n", 5)
	if len(lines) < 4 || strings.TrimSpace(lines[3]) == "" {
		return "", fmt.Errorf("%s does not tell its version: it is not installed (tenma bench run --install)", s.driver.Name)
	}
	s.input, s.spool, s.metrics = lines[0], lines[1], lines[2]
	if s.settings = ""; len(lines) == 5 {
		s.settings = strings.Join(strings.Fields(lines[4]), " ")
	}
	return strings.TrimSpace(lines[3]), nil
}

// Start starts the server in its box and returns when it greets; took is how
// long that was.
func (s *Server) Start(ctx context.Context) (took time.Duration, err error) {
	begin := time.Now()
	if err := s.inBox(ctx, "mta_start"); err != nil {
		return 0, fmt.Errorf("starting %s: %w", s.driver.Name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		err := greets(ctx, s.input)
		if err == nil {
			return time.Since(begin), nil
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("%s did not greet at %s: %w\n%s", s.driver.Name, s.input, err, s.lastWords())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Stop asks the server to stop, and ends what is left.
func (s *Server) Stop(ctx context.Context) error {
	err := s.inBox(ctx, "mta_stop")
	return errors.Join(err, s.box.Kill())
}

// Kill ends all of the server's processes at once, as SIGKILL does.
func (s *Server) Kill() error { return s.box.Kill() }

// Kick makes the server try all deferred mail now.
func (s *Server) Kick(ctx context.Context) error { return s.inBox(ctx, "mta_kick") }

// Usage is what the server's processes have used.
func (s *Server) Usage() (Usage, error) { return s.box.Usage() }

// Processes gives the ids of the server's processes.
func (s *Server) Processes() ([]int, error) { return s.box.Processes() }

// Close kills what is left and removes the box. The folder stays, to be looked
// into; the next Prepare empties it.
func (s *Server) Close() error { return errors.Join(s.box.Kill(), s.box.Remove()) }

func (s *Server) env() []string {
	host, port, _ := net.SplitHostPort(s.setup.Sink)
	tenma := s.driver.Tenma
	if tenma == "" {
		tenma = s.setup.Tenma
	}
	vars := map[string]string{
		"RUN": s.setup.Run, "WORK": s.setup.Work, "TENMA": tenma, "VARIANT": s.driver.Variant,
		"PORT": strconv.Itoa(s.port[0]), "HTTP_PORT": strconv.Itoa(s.port[1]),
		"ROUTE": s.setup.Route, "KIND": s.setup.Kind, "SINK_HOST": host, "SINK_PORT": port, "MX_PORT": strconv.Itoa(s.setup.MXPort), "DNS": s.setup.DNS,
		"RETRY": strconv.Itoa(max(1, int(s.setup.Retry.Seconds()))), "DKIM_KEY": s.setup.DKIMKey,
		"TLS_IN": flag(s.setup.TLSIn), "TLS_OUT": flag(s.setup.TLSOut), "TLS_CERT": s.setup.Cert, "TLS_KEY": s.setup.Key,
		"CONNECTIONS": "", "EXTRA": strings.Join(s.setup.Extra, "\n"),
		"PATH": os.Getenv("PATH") + ":/usr/sbin:/sbin", // where mail servers are, and cron's PATH has not
	}
	if s.setup.Connections > 0 {
		vars["CONNECTIONS"] = strconv.Itoa(s.setup.Connections)
	}
	env := os.Environ()
	for k, v := range vars {
		env = append(env, k+"="+v)
	}
	return env
}

func flag(on bool) string {
	if on {
		return "1"
	}
	return ""
}

// output runs shell text after the driver, outside the box, and gives what it
// prints.
func (s *Server) output(ctx context.Context, text string) (string, error) {
	cmd := exec.CommandContext(ctx, "bash", "-c", `. "$0"; `+text, s.script)
	cmd.Env, cmd.Dir = s.env(), s.setup.Run
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	var exit *exec.ExitError
	if err := cmd.Run(); errors.As(err, &exit) && exit.ExitCode() == exitCannot {
		return "", &cannotError{strings.TrimSpace(problem.String())}
	} else if err != nil {
		return "", fmt.Errorf("%w: %s", err, strings.TrimSpace(problem.String()))
	}
	return out.String(), nil
}

// exitCannot is how mta_config ends that says why the server cannot do what is
// asked for.
const exitCannot = 3

// cannotError is that reason.
type cannotError struct{ why string }

func (e *cannotError) Error() string { return "cannot: " + e.why }

// inBox runs a function of the driver in the box. What it prints goes to a file,
// not a pipe, which a daemon would keep open.
func (s *Server) inBox(ctx context.Context, function string) error {
	log, err := os.OpenFile(filepath.Join(s.setup.Run, "driver.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	// Sessions and deliveries are descriptors; 1,024 are no administrator's choice.
	const files = `ulimit -n 20000 2> /dev/null || ulimit -n "$(ulimit -H -n)"; `
	pin := ""
	if s.setup.CPUs != "" {
		pin = `taskset -pc "` + s.setup.CPUs + `" $$ > /dev/null || exit; `
	}
	cmd, err := s.box.Command(ctx, files+pin+`. "$0"; `+function, s.script)
	if err != nil {
		return err
	}
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = s.env(), s.setup.Run, log, log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", function, err, s.lastWords())
	}
	return nil
}

// lastWords is the end of what the driver and the server printed.
func (s *Server) lastWords() string {
	var words string
	for _, name := range []string{"driver.log", "out.log", "maillog"} {
		text, err := os.ReadFile(filepath.Join(s.setup.Run, name))
		if err == nil && len(text) > 0 {
			words += name + ": " + strings.TrimSpace(string(text[max(0, len(text)-500):])) + "\n"
		}
	}
	return strings.TrimSpace(words)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("finding a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// greets reports whether a mail server answers with 220.
func greets(ctx context.Context, addr string) error {
	c, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	line, err := bufio.NewReaderSize(c, 1024).ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(line, []byte("220")) {
		return fmt.Errorf("greeting %.80q", line)
	}
	c.Write([]byte("QUIT\r\n"))
	return nil
}
