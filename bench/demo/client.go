package demo

import (
	"context"
	"net"
	"net/smtp"
	"time"
)

// client is one SMTP connection to the relay.
type client struct {
	conn net.Conn
	smtp *smtp.Client
}

func dial(ctx context.Context, by func(ctx context.Context, network, address string) (net.Conn, error), addr string) (*client, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := by(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	c, err := smtp.NewClient(conn, "relay")
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &client{conn, c}, nil
}

func (c *client) send(from, to, text string) error {
	c.conn.SetDeadline(time.Now().Add(30 * time.Second))
	if err := c.smtp.Mail(from); err != nil {
		return err
	}
	if err := c.smtp.Rcpt(to); err != nil {
		return err
	}
	w, err := c.smtp.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write([]byte(text)); err != nil {
		return err
	}
	return w.Close()
}

func (c *client) quit() {
	c.conn.SetDeadline(time.Now().Add(time.Second))
	c.smtp.Quit()
	c.conn.Close()
}
