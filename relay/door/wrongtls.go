package door

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// LooksLikeTLS reports that the first octets of a client are those of a TLS
// handshake (RFC 8446 section 5.1: type 22, legacy version 3.x), which no client
// of a text protocol begins with. One octet is enough, more make it sure.
func LooksLikeTLS(first []byte) bool {
	return len(first) > 0 && first[0] == 0x16 && (len(first) == 1 || first[1] == 3)
}

// How often a client's wrong setting is logged, and for how many clients that is
// remembered.
const (
	hintEvery = time.Hour
	maxHints  = 1024
)

// hints remembers whose wrong setting was logged.
type hints struct {
	mu sync.Mutex
	m  map[netip.Addr]time.Time
}

// due reports that a's setting may be logged now, and takes note.
func (h *hints) due(a netip.Addr, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := clientKey(a)
	if at, known := h.m[key]; known && now.Sub(at) < hintEvery {
		return false
	}
	if len(h.m) >= maxHints {
		for k, at := range h.m {
			if now.Sub(at) >= hintEvery {
				delete(h.m, k)
			}
		}
		if len(h.m) >= maxHints {
			return false // a flood is no help to anybody who reads the log
		}
	}
	if h.m == nil {
		h.m = map[netip.Addr]time.Time{}
	}
	h.m[key] = now
	return true
}

// WrongTLS says in the log, once per client and hour, that the client spoke TLS
// where this listener speaks plaintext, and what its setting should be. Whoever
// reads a client's first line calls it when LooksLikeTLS; there is nothing to
// answer that such a client could read.
func (c *Conn) WrongTLS() {
	setting := "none: this listener has no TLS"
	if c.d.cfg.Mode == TLSStart {
		setting = "STARTTLS; SSL/TLS is for the port with implicit TLS"
	}
	c.hint("client begins with TLS on a port that begins in plaintext", setting)
}

// wrongPlain does the same for a client that spoke plaintext, or waited for a
// greeting, where TLS comes first. It reads plaintext, so it can be told.
func (c *Conn) wrongPlain(socket net.Conn) {
	if line := c.d.cfg.PlainOnTLS; line != "" {
		_ = socket.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = socket.Write([]byte(line)) // best effort
	}
	c.hint("client speaks plaintext, or waits for a greeting, on a port that begins with TLS", "SSL/TLS; STARTTLS is for the port that begins in plaintext")
}

func (c *Conn) hint(what, setting string) {
	if c.d.hints.due(c.client.Addr(), time.Now()) {
		c.d.log.Warn(what, "protocol", c.d.cfg.Protocol, "listener", c.d.cfg.Name, "client", c.client.Addr(), "client_setting_should_be", setting)
	}
}
