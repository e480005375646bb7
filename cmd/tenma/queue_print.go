package main

import (
	"fmt"
	"strings"
	"time"

	"tenma/cmd/tenma/cli"
	"tenma/relay/admin"
)

// summary prints the queue at a glance.
func (c *console) summary(s admin.Summary) error {
	if s.Rebuilding {
		fmt.Fprintln(c.Out, "The relay has just started and still reads its spool; the numbers are rising.")
	}
	fmt.Fprintf(c.Out, "%s: %d being delivered, %d ready, %d deferred, %d parked\n", cli.Count(int(s.Messages), "message"), s.Running, s.Ready, s.Deferred, s.Parked)
	if s.Resting > 0 {
		fmt.Fprintf(c.Out, "%s at rest: the destination cannot be reached, one message at a time is tried; \"tenma queue retry --all\" tries now.\n", cli.Count(s.Resting, "lane"))
	}
	if len(s.Lanes) == 0 {
		return nil
	}
	fmt.Fprintln(c.Out)
	rows := [][]string{{"LANE", "RUNNING", "READY", "DEFERRED", "OLDEST", "AT REST", "LAST REPLY"}}
	for _, l := range s.Lanes {
		rows = append(rows, []string{l.Lane, fmt.Sprint(l.Running), fmt.Sprint(l.Ready), fmt.Sprint(l.Deferred), since(l.Oldest), atRest(l), cli.Cut(l.LastReply, c.rest(85))})
	}
	return c.Table(rows)
}

// atRest tells of a lane that cannot be reached since when, and when it is tried.
func atRest(l admin.Lane) string {
	if l.NextProbe == nil {
		return ""
	}
	return since(l.RestsFrom) + ", next " + until(l.NextProbe)
}

// rest is what a line has left beside columns of that width; 0: no limit.
func (c *console) rest(columns int) int {
	if w := c.Width(); w > 0 {
		return max(20, w-columns)
	}
	return 0
}

// messages prints one line a message.
func (c *console) messages(all []admin.Message) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(c.Out, "No message.")
		return err
	}
	rows := [][]string{{"ID", "AGE", "SIZE", "SENDER", "RECIPIENT", "STATE", "LAST REPLY"}}
	for _, m := range all {
		state, reply := standing(m)
		rows = append(rows, []string{m.ID, since(&m.Received), octets(m.Size), angle(m.Sender), recipients(m), state, cli.Cut(reply, c.rest(120))})
	}
	return c.Table(rows)
}

// recipients names the first that is not finished, and how many more there are.
func recipients(m admin.Message) string {
	var open []string
	for _, r := range m.Recipients {
		if r.Fate == "pending" || r.Fate == "deferred" {
			open = append(open, r.Address)
		}
	}
	switch len(open) {
	case 0:
		return ""
	case 1:
		return open[0]
	}
	return fmt.Sprintf("%s +%d", open[0], len(open)-1)
}

// standing is how a message stands as a whole: the recipient that is due next
// speaks for it.
func standing(m admin.Message) (state, reply string) {
	var due *time.Time
	attempts := 0
	for _, r := range m.Recipients {
		if r.Fate != "deferred" || due != nil && r.Due != nil && r.Due.After(*due) {
			continue
		}
		due, reply, attempts = r.Due, r.Reply, r.Attempts
	}
	switch {
	case m.Held:
		state = "held"
	case due == nil:
		state = "ready"
	default:
		state = fmt.Sprintf("%s, next %s", cli.Count(attempts, "attempt"), until(due))
	}
	return state, reply
}

// inFull prints everything about each message.
func (c *console) inFull(all []admin.Message) error {
	for i, m := range all {
		if i > 0 {
			fmt.Fprintln(c.Out)
		}
		rows := [][]string{{"id", m.ID}, {"sender", angle(m.Sender)}, {"received", m.Received.Local().Format(time.RFC3339) + " (" + since(&m.Received) + " ago)"}}
		add := func(name, value string) {
			if value != "" {
				rows = append(rows, []string{name, value})
			}
		}
		add("return path", m.ReturnPath)
		add("batch", m.Batch)
		if m.Expire != nil {
			add("expires", m.Expire.Local().Format(time.RFC3339))
		}
		add("size", fmt.Sprintf("%d octets", m.Size))
		if m.Held {
			add("held", "yes; \"tenma queue release\" lets it go on")
		}
		add("client", strings.TrimSpace(m.Client+" "+m.HELO))
		add("account", m.Account)
		add("tenant", m.Tenant)
		add("campaign", m.Campaign)
		add("from", m.From)
		add("subject", m.Subject)
		add("message-id", m.MessageID)
		add("lanes", strings.Join(m.Lanes, ", "))
		for _, r := range m.Recipients {
			text := fmt.Sprintf("%s: %s after %s", r.Address, r.Fate, cli.Count(r.Attempts, "attempt"))
			if r.Due != nil && r.Fate == "deferred" {
				text += ", next " + until(r.Due)
			}
			if r.Reply != "" {
				host := r.Host
				if host == "" {
					host = "this relay"
				}
				text += "; " + host + " said: " + r.Reply
			}
			add("recipient", text)
		}
		if err := c.Table(rows); err != nil {
			return err
		}
	}
	return nil
}

func angle(sender string) string {
	if sender == "" {
		return "<>"
	}
	return sender
}

// since is an age in its two largest units: "3d4h", "5m10s".
func since(t *time.Time) string {
	if t == nil {
		return ""
	}
	return admin.Span(time.Since(*t))
}

func until(t *time.Time) string {
	if d := time.Until(*t); d > 0 {
		return "in " + admin.Span(d)
	}
	return "now"
}

// octets is a size as people read it.
func octets(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1fGiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1fMiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1fKiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%dB", n)
}
