package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// sessionPhase times one command in a session of its own, which has selected
// INBOX before it (unless that is the command).
func sessionPhase(command string) func(context.Context, server, load) (float64, time.Duration, error) {
	return func(_ context.Context, s server, _ load) (float64, time.Duration, error) {
		c, err := openIMAP(s)
		if err != nil {
			return 0, 0, err
		}
		defer c.close()
		if !strings.HasPrefix(command, "SELECT") {
			if _, err := c.command("SELECT INBOX"); err != nil {
				return 0, 0, err
			}
		}
		start := time.Now()
		_, err = c.command(command)
		return 1, time.Since(start), err
	}
}

// downloadIMAP reads every message by one command.
func downloadIMAP(_ context.Context, s server, l load) (float64, time.Duration, error) {
	c, err := openIMAP(s)
	if err != nil {
		return 0, 0, err
	}
	defer c.close()
	if _, err := c.command("SELECT INBOX"); err != nil {
		return 0, 0, err
	}
	start := time.Now()
	_, err = c.command("FETCH 1:* (BODY.PEEK[])")
	return float64(l.messages * l.size), time.Since(start), err
}

// downloadPOP3 reads every message, a hundred commands ahead.
func downloadPOP3(_ context.Context, s server, l load) (float64, time.Duration, error) {
	if s.pop3 == "" {
		return 0, time.Second, nil
	}
	c, err := openPOP3(s)
	if err != nil {
		return 0, 0, err
	}
	defer c.close()
	start := time.Now()
	const ahead = 100
	for first := 1; first <= l.messages; first += ahead {
		last := min(first+ahead-1, l.messages)
		var b strings.Builder
		for n := first; n <= last; n++ {
			fmt.Fprintf(&b, "RETR %d\r\n", n)
		}
		c.put(strings.TrimSuffix(b.String(), "\r\n"))
		for n := first; n <= last; n++ {
			if err := c.multiline(); err != nil {
				return 0, 0, fmt.Errorf("message %d: %w", n, err)
			}
		}
	}
	_, err = c.ok("QUIT")
	return float64(l.messages * l.size), time.Since(start), err
}

// multiline skips one reply with its lines up to the lone dot.
func (c *conn) multiline() error {
	if _, err := c.ok(""); err != nil {
		return err
	}
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if bytes.Equal(line, []byte(".\r\n")) {
			return nil
		}
	}
}

// downloadParallel reads every message over ten connections.
func downloadParallel(ctx context.Context, s server, l load) (float64, time.Duration, error) {
	const connections = 10
	var conns []*conn
	defer func() {
		for _, c := range conns {
			c.close()
		}
	}()
	for range connections {
		c, err := openIMAP(s)
		if err != nil {
			return 0, 0, err
		}
		conns = append(conns, c)
		if _, err := c.command("SELECT INBOX"); err != nil {
			return 0, 0, err
		}
	}
	start := time.Now()
	g, _ := errgroup.WithContext(ctx)
	for i, c := range conns {
		first, last := i*l.messages/connections+1, (i+1)*l.messages/connections
		g.Go(func() error {
			_, err := c.command(fmt.Sprintf("FETCH %d:%d (BODY.PEEK[])", first, last))
			return err
		})
	}
	err := g.Wait()
	return float64(l.messages * l.size), time.Since(start), err
}

// popPhase times a command of POP3, or the login if it is "".
func popPhase(command string) func(context.Context, server, load) (float64, time.Duration, error) {
	return func(_ context.Context, s server, _ load) (float64, time.Duration, error) {
		if s.pop3 == "" {
			return 0, time.Second, nil
		}
		start := time.Now()
		c, err := openPOP3(s)
		if err != nil {
			return 0, 0, err
		}
		defer c.close()
		if command != "" {
			start = time.Now()
			c.put(command)
			err = c.multiline()
		}
		took := time.Since(start)
		if err == nil {
			_, err = c.ok("QUIT")
		}
		return 1, took, err
	}
}
