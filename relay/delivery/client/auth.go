package client

import (
	"bytes"
	"encoding/base64"
	"errors"
	"time"

	"github.com/xdg-go/scram"
)

// ErrNoMechanism says that the server offers no SASL mechanism that we know.
var ErrNoMechanism = errors.New("no SASL mechanism in common")

// Auth logs in by the best mechanism offered: SCRAM-SHA-256 (RFC 5802), PLAIN
// (RFC 4616), LOGIN. It returns the last reply; 235 is success. The caller has
// made sure that the connection may carry the password.
func (c *Conn) Auth(user, password string, wait time.Duration) (Reply, error) {
	if c.Ext.Auth&ScramSHA256 != 0 {
		if client, err := scram.SHA256.NewClient(user, password, ""); err == nil {
			return c.authScram(client.NewConversation(), wait)
		}
		// A name or password that SASLprep forbids: the others take any.
	}
	switch {
	case c.Ext.Auth&Plain != 0:
		// With the initial response (RFC 4954 section 4).
		c.line("AUTH PLAIN ", base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password)))
		return c.Reply(wait)
	case c.Ext.Auth&Login != 0:
		c.line("AUTH LOGIN", "")
		for _, answer := range []string{user, password} {
			r, err := c.Reply(wait)
			if err != nil || r.Code != 334 {
				return r, err
			}
			c.line(base64.StdEncoding.EncodeToString([]byte(answer)), "")
		}
		return c.Reply(wait)
	}
	return Reply{}, ErrNoMechanism
}

func (c *Conn) authScram(conv *scram.ClientConversation, wait time.Duration) (Reply, error) {
	answer, err := conv.Step("")
	if err != nil {
		return Reply{}, err
	}
	c.line("AUTH SCRAM-SHA-256 ", base64.StdEncoding.EncodeToString([]byte(answer)))
	for {
		r, err := c.Reply(wait)
		if err != nil || r.Code != 334 {
			if err == nil && r.Positive() && !conv.Valid() {
				return r, errors.New("SCRAM: the server did not prove itself")
			}
			return r, err
		}
		challenge, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(r.text)))
		if err != nil {
			return r, errors.New("SCRAM: the challenge is not base64")
		}
		if conv.Done() {
			return r, errors.New("SCRAM: the server does not end")
		}
		if answer, err = conv.Step(string(challenge)); err != nil {
			return r, err
		}
		c.line(base64.StdEncoding.EncodeToString([]byte(answer)), "")
	}
}
