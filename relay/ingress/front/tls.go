package front

import (
	"crypto/tls"
	"time"

	"tenma/relay/door"
)

// startTLS answers STARTTLS (RFC 3207).
func (c *Conn) startTLS(arg bool) {
	switch {
	case c.l.cfg.TLS == nil || c.l.cfg.Implicit && c.tls == nil:
		c.reply("502 5.5.1 STARTTLS is not offered")
	case c.tls != nil:
		c.reply("503 5.5.1 TLS is active already")
	case arg:
		c.reply("501 5.5.4 STARTTLS takes no argument")
	case c.r != c.w:
		// Somebody spoke in plaintext what would be believed to have come
		// through TLS. A client must wait for the 220 (section 4).
		_ = c.end("554 5.5.0 nothing may follow STARTTLS\r\n", errLine)
	default:
		c.reply("220 2.0.0 go ahead")
		if err := c.flush(); err != nil {
			_ = c.fail(err)
			return
		}
		if c.handshake() == nil {
			// The client knows nothing of us that came in plaintext, nor
			// we of it (section 4.2): until it says EHLO, at which go-smtp
			// forgets the transaction, nothing else counts.
			c.hello = true
		}
	}
}

// handshake puts TLS above the socket, or ends the conversation: going on in
// plaintext would be what an attacker wants.
func (c *Conn) handshake() error {
	deadline := time.Now().Add(door.HandshakeTime)
	result := c.l.cfg.Metrics.TLSSessions
	t := tls.Server(c.nc, c.l.cfg.TLS)
	err := c.nc.SetDeadline(deadline)
	if err == nil {
		err = t.Handshake()
	}
	if err != nil {
		result.WithLabelValues(c.l.cfg.Name, "failed").Inc()
		c.out = c.out[:0] // the banner was for inside
		return c.fail(err)
	}
	result.WithLabelValues(c.l.cfg.Name, "good").Inc()
	state := t.ConnectionState()
	c.nc, c.tls = t, &state
	return nil
}

// readProxy finds out for whom a proxy speaks. One that speaks for itself keeps
// its own address.
func (c *Conn) readProxy() error {
	behind, client, err := door.ReadProxy(c.raw)
	if err != nil {
		return err
	}
	c.nc = behind
	if client != nil {
		c.remote, c.client, c.told = client, door.AddrPort(client), true
	}
	return nil
}
