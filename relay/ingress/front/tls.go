package front

import (
	"bufio"
	"crypto/tls"
	"net"
	"time"

	"github.com/pires/go-proxyproto"
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
	deadline := time.Now().Add(handshakeTime)
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

// readProxy reads the header in which a proxy says for whom it speaks: versions
// 1 and 2 of the PROXY protocol (haproxy's proxy-protocol.txt). A proxy that
// speaks for itself (LOCAL, a health check) keeps its own address.
func (c *Conn) readProxy() error {
	if err := c.raw.SetReadDeadline(time.Now().Add(handshakeTime)); err != nil {
		return err
	}
	r := bufio.NewReaderSize(c.raw, smallBuffer)
	h, err := proxyproto.Read(r)
	if err != nil {
		return err
	}
	if src, _, ok := h.TCPAddrs(); ok && !h.Command.IsLocal() {
		c.remote, c.client, c.told = src, addrPort(src), true
	}
	if n := r.Buffered(); n > 0 { // a client that does not wait for the banner
		ahead, err := r.Peek(n)
		if err != nil {
			return err
		}
		c.nc = &rest{Conn: c.raw, ahead: ahead}
	}
	return nil
}

// rest is a socket of which some octets were read ahead.
type rest struct {
	net.Conn
	ahead []byte
}

func (r *rest) Read(p []byte) (int, error) {
	if len(r.ahead) > 0 {
		n := copy(p, r.ahead)
		r.ahead = r.ahead[n:]
		return n, nil
	}
	return r.Conn.Read(p)
}
