package door

import (
	"bufio"
	"net"
	"time"

	"github.com/pires/go-proxyproto"
)

// HandshakeTime bounds the wait for a PROXY header and for a TLS handshake.
const HandshakeTime = 30 * time.Second

// proxyBuffer holds a header of version 2 with all the extras that proxies send;
// one of version 1 has 107 octets at most.
const proxyBuffer = 4 << 10

// ReadProxy reads the header in which a proxy says for whom it speaks: versions
// 1 and 2 of the PROXY protocol (haproxy's proxy-protocol.txt). It gives the
// connection that goes on behind the header, and the client's address: nil if
// the proxy does not tell one (UNKNOWN), or speaks for itself (LOCAL, a health
// check). It leaves a read deadline on nc.
func ReadProxy(nc net.Conn) (behind net.Conn, client net.Addr, err error) {
	if err := nc.SetReadDeadline(time.Now().Add(HandshakeTime)); err != nil {
		return nc, nil, err
	}
	r := bufio.NewReaderSize(nc, proxyBuffer)
	h, err := proxyproto.Read(r)
	if err != nil {
		return nc, nil, err
	}
	if src, _, ok := h.TCPAddrs(); ok && !h.Command.IsLocal() {
		client = src
	}
	n := r.Buffered()
	if n == 0 {
		return nc, client, nil
	}
	ahead, err := r.Peek(n) // a client that does not wait for the greeting
	return &rest{Conn: nc, ahead: ahead}, client, err
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
