package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"reflect"
	"strings"
	"syscall"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"tenma/bench/load"
	"tenma/bench/source"
	"tenma/cmd/tenma/cli"
)

type sourceCommand struct {
	Address string `arg:"" help:"The server, HOST:PORT."`

	loadFlags `embed:""`

	PasswordFile string `placeholder:"FILE" help:"File whose first line is the password to log in with."`
	Output       string `short:"o" placeholder:"FILE" help:"Append the result to FILE, as a line of JSON."`
	JSON         bool   `name:"json" help:"Print the result as JSON."`
}

// loadFlags are the words of source.Parse.
type loadFlags struct {
	Sessions   string `group:"Load" placeholder:"N" help:"Connections at a time (10)."`
	PerSession string `group:"Load" placeholder:"N" help:"Messages a connection carries; 0: no limit (20)."`
	Count      string `group:"Load" placeholder:"N" help:"Messages to send; 0: until --duration or Ctrl-C (0)."`
	Duration   string `group:"Load" placeholder:"TIME" help:"Start no message after this, such as 60s."`
	Rate       string `group:"Load" placeholder:"RATE" help:"Open loop: messages a second, or a ramp such as 100..5000/60s. Without it each session sends as soon as it may."`
	Spacing    string `group:"Load" placeholder:"HOW" help:"Gaps in an open loop: poisson or constant (poisson)."`

	Pipeline string `group:"Protocol" placeholder:"HOW" help:"off: every command waits for its reply; on: MAIL, RCPT and DATA together; across: the next message's commands ride behind this one's end (off)."`
	BDAT     bool   `name:"bdat" group:"Protocol" help:"BDAT instead of DATA; with --pipeline the message goes in the same write as its envelope."`
	Window   string `group:"Protocol" placeholder:"N" help:"With --bdat --pipeline=across: messages that may await their reply on a connection (4)."`
	LMTP     bool   `name:"lmtp" group:"Protocol" help:"LMTP instead of SMTP."`
	Hello    string `group:"Protocol" placeholder:"HOST" help:"Name for EHLO (source.test)."`
	Bind     string `group:"Protocol" placeholder:"ADDRESSES" help:"Addresses to come from in turns, such as 127.0.1.1-127.0.1.99 or 127.0.1.0/24: one has some 28,000 ports."`
	Timeout  string `group:"Protocol" placeholder:"TIME" help:"How long a reply may take (5m)."`
	Patience string `group:"Protocol" placeholder:"TIME" help:"Give up when the server cannot be reached for this long (10s)."`
	Grace    string `group:"Protocol" placeholder:"TIME" help:"How long replies are awaited after Ctrl-C (5s)."`

	TLS       string `name:"tls" group:"TLS and login" placeholder:"HOW" help:"off, starttls or implicit (off)."`
	Verify    bool   `group:"TLS and login" help:"Verify the server's certificate; otherwise any is good."`
	CA        string `name:"ca" group:"TLS and login" placeholder:"FILE" help:"Verify it against these certificates (PEM)."`
	Name      string `group:"TLS and login" placeholder:"HOST" help:"Name in the certificate (the server's)."`
	Resume    string `group:"TLS and login" placeholder:"yes|no" help:"Resume TLS sessions (yes)."`
	User      string `group:"TLS and login" placeholder:"NAME" help:"Log in."`
	Password  string `group:"TLS and login" placeholder:"PASSWORD" help:"With this password; others on this machine may see it, --password-file hides it."`
	Mechanism string `group:"TLS and login" placeholder:"NAME" help:"plain, login or scram-sha-256 (plain)."`

	From       string `group:"Messages" placeholder:"ADDRESS" help:"Envelope sender (bench@src.test)."`
	Recipients string `group:"Messages" placeholder:"N" help:"Recipients of a message, all in one domain (1)."`
	Users      string `group:"Messages" placeholder:"N" help:"Local parts to send to: u0, u1, ... (100)."`
	Domains    string `group:"Messages" placeholder:"LIST" help:"Recipient domains, such as big.test=70,small.test/1000=30: seven in ten to one domain, the others to d0.small.test ... d999.small.test (bulk.test)."`
	Size       string `group:"Messages" placeholder:"LIST" help:"Size, or a mix such as 4KiB=80,64KiB=15,1MiB=5 (4KiB)."`
	Corpus     string `group:"Messages" placeholder:"DIR" help:"Send the .eml files of this folder."`
	Run        string `group:"Messages" placeholder:"NAME" help:"Name of the load, in each message (made up)."`
	Seed       string `group:"Messages" placeholder:"N" help:"Decides what is random (1)."`

	Sink string `group:"Arrivals" placeholder:"URL" help:"Control port of a \"tenma bench sink\": what arrived is counted and joined with what was accepted."`
	Wait string `group:"Arrivals" placeholder:"TIME" help:"Give up on the sink when nothing arrived for this long; 0s: do not wait (20s)."`
}

// Help is the long text.
func (*sourceCommand) Help() string {
	return `Sends mail to any SMTP server and tells how fast it was taken. Use it on servers of your own: it sends as much as it can.

Without --rate the loop is closed: a session sends its next message when the last was answered, which shows how much the server can take. With --rate it is open: messages are due at times that do not wait for the server, and their latency counts from when they were due, so that no pause of the server is hidden. What is due while all sessions are busy is shown as backlog.

A message is sent once: refusals are counted, not tried again. Ctrl-C ends the load and shows what came of it. The exit code is 1 if the load could not be run to its end, or if mail was lost; refusals do not count as that.`
}

// words turns the flags that were given into words of source.Parse. A flag's
// word is its name.
func (f *loadFlags) words() []string {
	var words []string
	v := reflect.ValueOf(f).Elem()
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("name")
		if name == "" {
			name = flagName(v.Type().Field(i).Name)
		}
		switch v := v.Field(i); {
		case v.Kind() == reflect.Bool && v.Bool():
			words = append(words, name)
		case v.Kind() == reflect.String && v.String() != "":
			words = append(words, name+"="+v.String())
		}
	}
	return words
}

// flagName is how the command line calls a field: PerSession is per-session.
func flagName(field string) string {
	var b strings.Builder
	for i, r := range field {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte('-')
		}
		b.WriteString(strings.ToLower(string(r)))
	}
	return b.String()
}

// Run is the command.
func (x *sourceCommand) Run(ctx context.Context, c *cli.Console) error {
	words := append(x.words(), "address="+x.Address)
	if x.PasswordFile != "" {
		password, err := c.Password(x.PasswordFile)
		if err != nil {
			return err
		}
		words = append(words, "password="+password)
	}
	cfg, err := source.Parse(words)
	if err != nil {
		return cli.Misuse("%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	s, err := source.New(cfg)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C does not wait

	showing, shown := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		follow(showing, c.Err, s)
	}()
	r, err := s.Run(ctx)
	shown()
	<-done
	if r.Run == "" {
		return err // it did not begin
	}
	if x.Output != "" {
		if werr := appendResult(x.Output, r); werr != nil {
			return werr
		}
	}
	if x.JSON {
		if werr := c.JSON(r); werr != nil {
			return werr
		}
	} else if werr := printResult(c, s, r, cfg.Sink != nil); werr != nil {
		return werr
	}
	if err == nil && r.Lost > 0 && cfg.Wait > 0 && ctx.Err() == nil {
		err = fmt.Errorf("%d accepted messages did not arrive", r.Lost)
	}
	return err
}

// appendResult adds a line to the raw data.
func appendResult(path string, r load.Result) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("keeping the result: %w", err)
	}
	_, err = f.Write(append(b, '\n'))
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// barWidth is what the bar takes of a line, its numbers included.
const barWidth = 65

// linesEvery is how often a line is printed where there is no terminal.
const linesEvery = 5 * time.Second

// follow shows how the load goes until ctx ends: a bar on a terminal, lines
// elsewhere.
func follow(ctx context.Context, w io.Writer, s *source.Source) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		tick := time.NewTicker(linesEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				fmt.Fprintln(w, liveLine(s.Live()))
			}
		}
	}
	total := s.Live().Count
	if total == 0 {
		total = -1 // a spinner
	}
	bar := progressbar.NewOptions64(total, progressbar.OptionSetWriter(w), progressbar.OptionSetWidth(20), progressbar.OptionShowCount(),
		progressbar.OptionThrottle(200*time.Millisecond), progressbar.OptionSetPredictTime(total > 0), progressbar.OptionClearOnFinish())
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			bar.Clear()
			return
		case <-tick.C:
			l := s.Live()
			text := liveLine(l)
			if width, _, err := term.GetSize(int(f.Fd())); err == nil {
				text = cli.Cut(text, max(20, width-barWidth))
			}
			bar.Describe(text)
			settled := l.Accepted + l.Soft + l.Hard + l.Broken
			if total > 0 {
				settled = min(settled, total-1) // a full bar would be taken away
			}
			bar.Set64(settled)
		}
	}
}

// liveLine is a moment of a load in one line.
func liveLine(l source.Live) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%.0f/s, %d accepted, ack p50 %s p99 %s max %s", l.Rate, l.Accepted, ms(l.Second.P50), ms(l.Second.P99), ms(l.All.Max))
	for _, part := range []struct {
		n    int64
		what string
	}{
		{l.Delivered, "delivered"}, {l.Backlog, "behind"}, {l.Soft, "refused 4xx"}, {l.Hard, "refused 5xx"}, {l.ConnErrors, "connection errors"},
	} {
		if part.n > 0 {
			fmt.Fprintf(&b, ", %d %s", part.n, part.what)
		}
	}
	return b.String()
}

// ms is a time of so many milliseconds for people.
func ms(v float64) string {
	switch {
	case v >= 10_000:
		return fmt.Sprintf("%.1f s", v/1000)
	case v >= 100:
		return fmt.Sprintf("%.0f ms", v)
	}
	return fmt.Sprintf("%.3g ms", v)
}

// printResult is the result for people.
func printResult(c *cli.Console, s *source.Source, r load.Result, sink bool) error {
	l := s.Live()
	fmt.Fprintf(c.Out, "load %s: %d messages accepted in %.2f s: %.0f a second\n\n", r.Run, r.Accepted, r.AcceptSeconds, r.AcceptRate)
	quantiles := func(what string, q load.Quantiles) []string {
		return []string{what, ms(q.P50), ms(q.P90), ms(q.P99), ms(q.P999), ms(q.Max)}
	}
	rows := [][]string{{"LATENCY", "P50", "P90", "P99", "P99.9", "MAX"}, quantiles("to the acceptance", r.Ack)}
	if sink && r.Delivered > 0 {
		rows = append(rows, quantiles("from there to the sink", r.Transit))
	}
	if err := c.Table(rows); err != nil {
		return err
	}
	fmt.Fprintln(c.Out)
	rows = [][]string{{"COUNT", "", ""}}
	add := func(what string, n int64, remark string) {
		if n != 0 {
			rows = append(rows, []string{what, fmt.Sprint(n), remark})
		}
	}
	add("accepted", r.Accepted, "")
	if sink {
		add("delivered", r.Delivered, fmt.Sprintf("%.0f a second in %.2f s; %.0f up to 95 %%", r.DeliverRate, r.DeliverSeconds, r.Deliver95Rate))
		add("lost", r.Lost, "accepted, and not arrived when the waiting ended")
		add("duplicates", r.Duplicates, "")
		add("unanswered", r.Unanswered, "arrived, though no acceptance was heard")
	}
	add("refused for now (4xx)", r.SoftErrors, "")
	add("refused (5xx)", r.HardErrors, "")
	add("recipients refused", int64(r.Extra["refused_recipients"]), "")
	add("connections", int64(r.Extra["connections"]), "")
	add("connection errors", r.ConnErrors, "")
	add("messages on broken connections", l.Broken, "")
	add("most behind", int64(r.Extra["late_max"]), "messages that were due while every session was busy")
	if err := c.Table(rows); err != nil {
		return err
	}
	if r.FirstError != "" {
		fmt.Fprintf(c.Out, "\nfirst error: %s\n", cli.Clean(r.FirstError))
	}
	return nil
}
