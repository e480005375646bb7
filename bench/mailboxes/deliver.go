package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// deliver hands all messages in over several connections and waits until the
// mailbox has them.
func deliver(ctx context.Context, s server, l load) (float64, time.Duration, error) {
	start := time.Now()
	g, ctx := errgroup.WithContext(ctx)
	for c := range l.connections {
		g.Go(func() error {
			client, err := openDelivery(s)
			if err != nil {
				return err
			}
			defer client.close()
			for n := c; n < l.messages; n += l.connections {
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := client.send(s, l, n); err != nil {
					return fmt.Errorf("message %d: %w", n, err)
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return 0, 0, err
	}
	box, err := openIMAP(s)
	if err != nil {
		return 0, 0, err
	}
	defer box.close()
	want := fmt.Sprintf("MESSAGES %d)", l.messages)
	for tries := 0; ; tries++ {
		last, err := box.command("STATUS INBOX (MESSAGES)")
		if err != nil {
			return 0, 0, err
		}
		if strings.Contains(last, want) {
			return float64(l.messages), time.Since(start), nil
		}
		if tries > 600 {
			return 0, 0, fmt.Errorf("after %v the mailbox says %q, not %d messages", time.Since(start), last, l.messages)
		}
		time.Sleep(100 * time.Millisecond) // a client of another program: there is nothing to wait for but time
	}
}

// openDelivery greets by LMTP, else SMTP.
func openDelivery(s server) (*conn, error) {
	address, hello := s.lmtp, "LHLO load.test"
	if address == "" {
		address, hello = s.smtp, "EHLO load.test"
	}
	c, err := dial(address)
	if err != nil {
		return nil, err
	}
	if _, err := c.replies(1); err != nil {
		return nil, err
	}
	c.put(hello)
	_, err = c.replies(1)
	return c, err
}

// send is one transaction, pipelined up to DATA.
func (c *conn) send(s server, l load, n int) error {
	c.put(fmt.Sprintf("MAIL FROM:<sender%d@load.test>\r\nRCPT TO:<%s>\r\nDATA", n%1000, s.user))
	if _, err := c.replies(3); err != nil {
		return err
	}
	c.put(message(s, l, n) + ".")
	_, err := c.replies(1)
	return err
}

// message is a text of the size asked for, each one different.
func message(s server, l load, n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "From: Sender %d <sender%d@load.test>\r\nTo: <%s>\r\nSubject: Message number %d\r\n", n%1000, n%1000, s.user, n)
	fmt.Fprintf(&b, "Date: Sun, 22 Nov 2026 %02d:%02d:%02d +0000\r\nMessage-ID: <%d@load.test>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n", n/3600%24, n/60%60, n%60, n)
	for line := 0; b.Len() < l.size; line++ {
		fmt.Fprintf(&b, "This is line %d of message %d, and it says nothing else.\r\n", line, n)
	}
	return b.String()
}
