package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"tenma/bench/sink"
	"tenma/cmd/tenma/cli"
)

type sinkCommand struct {
	Listen []string `default:"127.0.0.1:2525" placeholder:"ADDRESSES" help:"Where to take mail: addresses parted by commas, or ranges such as 127.1.0.1-50:25 (default ${default})."`

	hostFlags `embed:""`
}

// hostFlags are what the commands that take mail have in common.
type hostFlags struct {
	Control  string        `default:"127.0.0.1:2599" placeholder:"HOST:PORT" help:"Control port, HTTP: keep it on loopback; none for none (default ${default})."`
	Manner   string        `group:"Manners" placeholder:"WORDS" help:"How hosts behave, such as \"rtt=50ms tempfail:rcpt=0.2\"; deploy/reference/bench.md has the words."`
	At       []string      `group:"Manners" sep:"none" placeholder:"ADDRESS WORDS" help:"The same for one listening address; may be repeated."`
	Domain   []string      `group:"Manners" sep:"none" placeholder:"NAME WORDS" help:"The same for one recipient domain, or *.test for all below; may be repeated."`
	Seed     uint64        `group:"Manners" placeholder:"N" help:"Decides what happens by chance (0)."`
	Name     string        `placeholder:"HOST" help:"Name in the banner (sink.test)."`
	RunName  string        `name:"run" placeholder:"NAME" help:"Load to count (the first that arrives)."`
	Store    string        `placeholder:"DIR" help:"Write messages to files in DIR."`
	StoreMax int64         `placeholder:"N" help:"At most so many; 0: all (0)."`
	MaxSize  int64         `placeholder:"OCTETS" help:"Largest message that is taken (104857600)."`
	For      time.Duration `placeholder:"TIME" help:"End after this, such as 60s. Without it: run until interrupted."`
	JSON     bool          `name:"json" help:"Print the counts as JSON at the end."`
}

// config gives what sink.Parse makes of the flags.
func (f *hostFlags) config(listen []string) (sink.Config, error) {
	words := []string{"listen=" + strings.Join(listen, ",")}
	add := func(key, value, unset string) {
		if value != unset {
			words = append(words, key+"="+value)
		}
	}
	add("control", f.Control, "none")
	add("name", f.Name, "")
	add("run", f.RunName, "")
	add("store", f.Store, "")
	add("store-max", strconv.FormatInt(f.StoreMax, 10), "0")
	add("max-size", strconv.FormatInt(f.MaxSize, 10), "0")
	add("seed", strconv.FormatUint(f.Seed, 10), "0")
	words = append(append(words, "manner"), strings.Fields(f.Manner)...)
	for key, all := range map[string][]string{"at": f.At, "domain": f.Domain} {
		for _, text := range all {
			own := strings.Fields(text)
			if len(own) == 0 {
				return sink.Config{}, cli.Misuse("--%s is empty", key)
			}
			words = append(append(words, key+"="+own[0]), own[1:]...)
		}
	}
	cfg, err := sink.Parse(words)
	if err != nil {
		return cfg, cli.Misuse("%v", err)
	}
	return cfg, nil
}

// Help is the long text.
func (*sinkCommand) Help() string {
	return `A cheap SMTP server that takes every message, counts it, and forgets it: what a mail server under test sends to. It counts messages of "tenma bench source" by their numbers, so that none lost and none doubled goes unseen, and behaves as hosts on the Internet do, if told so.

Messages of other origin are taken and counted too, without numbers. Ctrl-C ends it and shows the counts.`
}

// Run is the command.
func (x *sinkCommand) Run(ctx context.Context, c *cli.Console) error {
	cfg, err := x.config(x.Listen)
	if err != nil {
		return err
	}
	s, err := sink.New(cfg)
	if err != nil {
		return cli.Misuse("%v", err)
	}
	return x.serve(ctx, c, s, func() {
		fmt.Fprintf(c.Err, "taking mail on %s%s\n", cli.Cut(strings.Join(s.Addrs(), ", "), 200), x.where())
	}, nil)
}

// where tells of the control port.
func (f *hostFlags) where() string {
	if f.Control == "none" {
		return ""
	}
	return "; control port http://" + f.Control
}

// serve runs a sink, and besides it other, if that is not nil, until the end
// of one, of the time, or an interrupt; begun is called when mail is taken.
func (f *hostFlags) serve(ctx context.Context, c *cli.Console, s *sink.Sink, begun func(), other func(context.Context) error) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C does not wait
	if f.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.For)
		defer cancel()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 2)
	running := 1
	go func() { ended <- s.Run(ctx) }()
	if other != nil {
		running++
		go func() { ended <- other(ctx) }()
	}
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		select {
		case <-s.Ready():
			begun()
			watch(ctx, c.Err, s)
		case <-ctx.Done():
		}
	}()
	var err error
	for range running {
		err = errors.Join(err, <-ended)
		cancel() // one without the other is of no use
	}
	<-shown
	if err != nil {
		return err
	}
	if f.JSON {
		return c.JSON(s.Stats())
	}
	return printStats(c, s.Stats())
}

// watch shows what arrives until ctx ends: on a terminal a line that changes,
// elsewhere one now and then while something happens.
func watch(ctx context.Context, w io.Writer, s *sink.Sink) {
	every, live := linesEvery, false
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		every, live = time.Second, true
		defer fmt.Fprint(w, "\r\x1b[K")
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	before := s.Stats()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := s.Stats()
		line := sinkLine(before, now, every)
		switch {
		case live:
			fmt.Fprintf(w, "\r%s\x1b[K", cli.Cut(line, 78))
		case now != before:
			fmt.Fprintln(w, line)
		}
		before = now
	}
}

// sinkLine is a moment of a sink in one line.
func sinkLine(before, now sink.Stats, passed time.Duration) string {
	arrived := now.Total + now.Untagged - before.Total - before.Untagged
	var b strings.Builder
	fmt.Fprintf(&b, "%.0f/s, %d unique, %d duplicates, %d connections", max(0, float64(arrived))/passed.Seconds(), now.Unique, now.Duplicates, now.Open)
	for _, part := range []struct {
		n    int64
		what string
	}{{now.Untagged, "others"}, {now.Refused, "refused"}, {now.Dropped, "dropped"}} {
		if part.n > 0 {
			fmt.Fprintf(&b, ", %d %s", part.n, part.what)
		}
	}
	if now.Down {
		b.WriteString(", down")
	}
	return b.String()
}

// printStats is the summary for people.
func printStats(c *cli.Console, s sink.Stats) error {
	rows := [][]string{{"COUNT", "", ""}}
	add := func(what string, n int64, remark string) {
		if n != 0 {
			rows = append(rows, []string{what, strconv.FormatInt(n, 10), remark})
		}
	}
	rate := ""
	if d := time.Duration(s.Last - s.First); s.Unique > 1 && d > 0 {
		rate = fmt.Sprintf("%.0f a second in %.2f s", float64(s.Unique)/d.Seconds(), d.Seconds())
	}
	add("messages of "+s.Run, s.Unique, rate)
	add("duplicates", s.Duplicates, "more arrivals of the same messages")
	add("other messages", s.Untagged, "of other loads or of none")
	add("recipients", s.Recipients, "")
	add("octets", s.Bytes, "")
	add("signatures", s.Signatures, "DKIM-Signature fields")
	add("stored", s.Stored, "")
	add("connections", s.Conns, fmt.Sprintf("at most %d at a time", s.PeakConns))
	add("TLS handshakes", s.TLS, "")
	add("refused connections", s.RefusedConns, "")
	add("refused recipients", s.RefusedRecipients, "")
	add("refused messages", s.RefusedMessages, "")
	add("dropped connections", s.Dropped, "")
	add("mistakes", s.Mistakes, "commands that were wrong")
	if len(rows) == 1 {
		fmt.Fprintln(c.Out, "nobody came")
		return nil
	}
	return c.Table(rows)
}
