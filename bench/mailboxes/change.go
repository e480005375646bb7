package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// changes is how many messages the phases add and move that change a mailbox.
const changes = 10_000

// folder is where they do so; flagged messages of INBOX are removed at last.
const (
	folder = "Load"
	other  = "Other"
)

// appendMany adds messages one after the other, each with a round trip of its
// own, as programs do that copy mail from one server to another.
func appendMany(_ context.Context, s server, l load) (float64, time.Duration, error) {
	c, err := openIMAP(s)
	if err != nil {
		return 0, 0, err
	}
	defer c.close()
	for _, f := range []string{folder, other} { // what an earlier run left
		_, _ = c.command("DELETE " + f)
		if _, err := c.command("CREATE " + f); err != nil {
			return 0, 0, err
		}
	}
	start := time.Now()
	for n := range changes {
		text := message(s, l, n)
		if _, err := c.command(fmt.Sprintf("APPEND %s (\\Seen) {%d+}\r\n%s", folder, len(text), text)); err != nil {
			return 0, 0, fmt.Errorf("message %d: %.60w", n, err)
		}
	}
	return changes, time.Since(start), nil
}

// changePhase times one command on a folder that is selected before.
func changePhase(in, command string, count func(l load) int) func(context.Context, server, load) (float64, time.Duration, error) {
	return func(_ context.Context, s server, l load) (float64, time.Duration, error) {
		c, err := openIMAP(s)
		if err != nil {
			return 0, 0, err
		}
		defer c.close()
		if _, err := c.command("SELECT " + in); err != nil {
			return 0, 0, err
		}
		if strings.Contains(command, "EXPUNGE") {
			if _, err := c.command("STORE 1:" + fmt.Sprint(count(l)) + " +FLAGS.SILENT (\\Deleted)"); err != nil {
				return 0, 0, err
			}
		}
		start := time.Now()
		_, err = c.command(command)
		return float64(count(l)), time.Since(start), err
	}
}

func changed(load) int  { return changes }
func all(l load) int    { return l.messages }
func halved(l load) int { return l.messages / 2 }
