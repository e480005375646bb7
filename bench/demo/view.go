package demo

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"text/tabwriter"
	"time"

	"tenma/bench/internet"
	"tenma/relay/config"
	"tenma/relay/queue"
)

// quicken shortens what would take hours, so that retries and returned mail
// are seen within a minute.
func quicken(c *config.Config) {
	c.Queue.Retry = []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second}
	c.Queue.Expire = 2 * time.Minute
}

// view draws the summary.
type view struct {
	out       io.Writer
	terminal  bool
	providers []internet.Provider
	hosts     map[string]*internet.Receiver
	queue     *queue.Queue
	source    *source
	smtp      net.Addr
	http      []net.Addr

	lastTaken int64
	lastAt    time.Time
}

// run redraws until ctx is cancelled (nil) or the relay ends (its error).
func (v *view) run(ctx context.Context, ended <-chan error) error {
	every := 5 * time.Second
	if v.terminal {
		every = time.Second
		fmt.Fprint(v.out, "\x1b[2J") // clear the screen
	}
	fmt.Fprint(v.out, v.heading())
	tick := time.NewTicker(every)
	defer tick.Stop()
	v.lastAt = time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			return fmt.Errorf("the relay ended: %w", err)
		case <-tick.C:
		}
		v.draw(ctx)
	}
}

func (v *view) heading() string {
	var b strings.Builder
	fmt.Fprintf(&b, "tenma demo: the relay takes mail at %v", v.smtp)
	if len(v.http) > 0 {
		fmt.Fprintf(&b, ", metrics and API at http://%v", v.http[0])
	}
	b.WriteString("; the internet is in this process. Ctrl-C ends it.\n")
	return b.String()
}

func (v *view) taken() (n int64) {
	for _, h := range v.hosts {
		n += h.Counts().Messages
	}
	return n
}

func (v *view) draw(ctx context.Context) {
	s, err := v.queue.Summary(ctx)
	if err != nil {
		return // the relay is stopping
	}
	now, taken := time.Now(), v.taken()
	rate := float64(taken-v.lastTaken) / now.Sub(v.lastAt).Seconds()
	v.lastTaken, v.lastAt = taken, now
	if !v.terminal {
		fmt.Fprintf(v.out, "%s  in %d  delivered %d (%.0f/s)  queued %d: ready %d, running %d, deferred %d\n",
			now.Format(time.TimeOnly), v.source.accepted.Load(), taken, rate, s.Messages, s.Ready, s.Running, s.Deferred+s.Parked)
		return
	}
	var b strings.Builder
	b.WriteString("\x1b[H" + v.heading() + "\n") // from the top left corner
	w := tabwriter.NewWriter(&b, 2, 8, 2, ' ', 0)
	fmt.Fprint(w, "PROVIDER\tTAKEN\tREFUSED\tCONNECTIONS\tMANNER\n")
	for _, p := range v.providers {
		var c internet.Counts
		for _, h := range p.Hosts {
			one := v.hosts[h.Name].Counts()
			c.Messages, c.Refused, c.Connections = c.Messages+one.Messages, c.Refused+one.Refused, c.Connections+one.Connections
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\n", p.Name, c.Messages, c.Refused, c.Connections, p.What)
	}
	w.Flush()
	fmt.Fprintf(&b, "\nhanded in %d   delivered %d (%.0f/s)   queued %d: ready %d, running %d, deferred %d\n\n",
		v.source.accepted.Load(), taken, rate, s.Messages, s.Ready, s.Running, s.Deferred+s.Parked)
	w = tabwriter.NewWriter(&b, 2, 8, 2, ' ', 0)
	fmt.Fprint(w, "LANE\tREADY\tRUNNING\tDEFERRED\tLAST REPLY\n")
	for _, l := range s.Lanes {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%.60s\n", l.Lane, l.Ready, l.Running, l.Deferred, l.LastReply)
	}
	w.Flush()
	// Each line is cleared to its end, then what is left of an older, longer
	// picture below.
	fmt.Fprint(v.out, strings.ReplaceAll(b.String(), "\n", "\x1b[K\n")+"\x1b[J")
}
