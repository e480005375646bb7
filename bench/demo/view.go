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
	c.Queue.Retry = []time.Duration{5 * time.Second, 10 * time.Second, 10 * time.Second}
	c.Queue.Expire = 2 * time.Minute
}

// view draws the summary.
type view struct {
	out       io.Writer
	size      func() (columns, lines int) // nil: out is no terminal
	hint      string
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
	every := time.Second
	if v.size == nil {
		every = 5 * time.Second
		fmt.Fprintln(v.out, strings.Join(v.heading(), "\n"))
	} else {
		fmt.Fprint(v.out, "\x1b[2J") // clear the screen
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	v.lastAt = time.Now()
	v.draw(ctx)
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

// heading gives the first lines, each at most 80 columns.
func (v *view) heading() []string {
	first := fmt.Sprintf("tenma demo: SMTP at %v", v.smtp)
	if len(v.http) > 0 {
		first += fmt.Sprintf(", page and metrics at http://%v/", v.http[0])
	}
	return []string{first, "The internet is in this process, no mail leaves the machine. Ctrl-C ends it."}
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
	rate := 0.0
	if d := now.Sub(v.lastAt).Seconds(); d > 0 {
		rate = float64(taken-v.lastTaken) / d
	}
	v.lastTaken, v.lastAt = taken, now
	totals := fmt.Sprintf("in %d, delivered %d (%.0f/s), queued %d: %d ready, %d running, %d deferred",
		v.source.accepted.Load(), taken, rate, s.Messages, s.Ready, s.Running, s.Deferred+s.Parked)
	if v.size == nil {
		fmt.Fprintln(v.out, now.Format(time.TimeOnly), totals)
		return
	}
	columns, lines := v.size()
	show(v.out, v.picture(totals, s.Lanes, lines), columns, lines)
}

// picture is the summary on a screen of so many lines. What is worth most
// stands on top, and lanes are left out for want of room.
func (v *view) picture(totals string, lanes []queue.LaneSummary, lines int) []string {
	rows := []string{"PROVIDER\tTOOK\tREFUSED\tMANNER"}
	for _, p := range v.providers {
		var c internet.Counts
		for _, h := range p.Hosts {
			one := v.hosts[h.Name].Counts()
			c.Messages, c.Refused = c.Messages+one.Messages, c.Refused+one.Refused
		}
		rows = append(rows, fmt.Sprintf("%s\t%d\t%d\t%s", p.Name, c.Messages, c.Refused, p.What))
	}
	all := append(v.heading(), "")
	all = append(all, align(rows)...)
	all = append(all, "", totals, "")
	hint := strings.Split(strings.TrimSpace(v.hint), "\n")
	if v.hint == "" {
		hint = nil
	}
	room := lines - len(all) - len(hint) - 2 // an empty line before the hint, and one for the cursor
	rows = []string{"WAITING FOR\tREADY\tRUNNING\tDEFERRED\tLAST REPLY"}
	for _, l := range lanes {
		if l.Ready+l.Running+l.Deferred > 0 && len(rows) < room {
			_, site, _ := strings.Cut(string(l.Lane), "->") // there is one source
			rows = append(rows, fmt.Sprintf("%s\t%d\t%d\t%d\t%s", clip(site, 24), l.Ready, l.Running, l.Deferred, l.LastReply))
		}
	}
	all = append(all, align(rows)...)
	if hint != nil {
		all = append(append(all, ""), hint...)
	}
	return all
}

// align makes columns of the tabs.
func align(rows []string) []string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 2, 8, 2, ' ', 0)
	fmt.Fprint(w, strings.Join(rows, "\n"))
	w.Flush() // a strings.Builder takes everything
	return strings.Split(b.String(), "\n")
}

// show draws a picture from the top left corner, over the former one: each line
// is cut to the width and cleared to its end, then everything below.
func show(w io.Writer, picture []string, columns, lines int) {
	var b strings.Builder
	b.WriteString("\x1b[H")
	for _, l := range picture[:min(len(picture), max(lines-1, 1))] {
		b.WriteString(clip(l, columns) + "\x1b[K\n")
	}
	fmt.Fprint(w, b.String()+"\x1b[J")
}

// clip shortens s to n characters.
func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:max(n-3, 0)]) + "..."
	}
	return s
}
