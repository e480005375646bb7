package front

import (
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"tenma/metrics"
	"tenma/relay/door"
)

// Config is what a Listener is told once.
type Config struct {
	Name      string // for metrics
	Hostname  string // in replies of the front
	LMTP      bool
	TLS       *tls.Config // nil: none
	Implicit  bool        // TLS from the first octet; otherwise STARTTLS
	ProxyFrom []netip.Prefix
	Metrics   *metrics.Ingress
}

// Settings are what a reload may change. A connection keeps those that it
// began with.
type Settings struct {
	Limits
	// Vouched are the networks whose clients may relay; a bare LF of theirs
	// is taken for a line end if LFVouched says so.
	Vouched []netip.Prefix
	BareLF  BareLF
}

// BareLF says whose line feeds without carriage return are line ends.
type BareLF uint8

// Whose.
const (
	LFVouched BareLF = iota // of clients in Settings.Vouched, and after Conn.Vouch
	LFNobody
	LFAnybody
)

// Listener is the net.Listener that go-smtp serves. It hands out *Conn.
//
// It starts no goroutine. Accept and Close may be called as those of any
// listener, the other methods from any goroutine.
type Listener struct {
	inner    net.Listener
	cfg      Config
	settings atomic.Pointer[Settings]
	buffers  sync.Pool // of *[]byte, largeBuffer long

	mu       sync.Mutex // guards what follows
	conns    map[*Conn]struct{}
	clients  door.Clients
	draining bool
}

// NewListener puts a front before inner. Zero limits mean the defaults.
func NewListener(inner net.Listener, cfg Config, s Settings) *Listener {
	l := &Listener{
		inner: inner, cfg: cfg, conns: map[*Conn]struct{}{},
		buffers: sync.Pool{New: func() any { b := make([]byte, largeBuffer); return &b }},
	}
	l.Apply(s)
	return l
}

// Apply changes the settings of connections to come.
func (l *Listener) Apply(s Settings) {
	s.Limits = s.OrDefault()
	l.settings.Store(&s)
}

// Addr is the address that inner listens on.
func (l *Listener) Addr() net.Addr { return l.inner.Addr() }

// Close stops accepting; connections go on.
func (l *Listener) Close() error { return l.inner.Close() }

// Open is how many connections there are.
func (l *Listener) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns)
}

// Drain stops accepting and tells 421 to every client as soon as it is between
// two commands; a body in progress is taken to its end and answered first.
func (l *Listener) Drain() {
	_ = l.inner.Close() // an error leaves nothing to do
	l.mu.Lock()
	l.draining = true
	conns := l.all()
	l.mu.Unlock()
	for _, c := range conns {
		c.drain()
	}
}

// Abort closes every connection at once.
func (l *Listener) Abort() {
	l.mu.Lock()
	conns := l.all()
	l.mu.Unlock()
	for _, c := range conns {
		c.abort()
	}
}

func (l *Listener) all() []*Conn {
	conns := make([]*Conn, 0, len(l.conns))
	for c := range l.conns {
		conns = append(conns, c)
	}
	return conns
}

// Accept gives the next connection that may have a session. Those that may not
// are told so and closed here; the 220 banner has not been sent yet, so the
// line is a proper greeting (RFC 5321 section 3.1).
func (l *Listener) Accept() (net.Conn, error) {
	for {
		nc, err := l.inner.Accept()
		if err != nil {
			return nil, err
		}
		l.cfg.Metrics.Connections.WithLabelValues(l.cfg.Name).Inc()
		c := newConn(l, nc)
		if reason := l.admit(c); reason != "" {
			l.refuse(nc, reason)
			continue
		}
		return c, nil
	}
}

// refuse tells why in one line. The client has sent nothing yet and its window
// is empty, so that the write does not block; the deadline is for odd networks.
func (l *Listener) refuse(nc net.Conn, reason string) {
	l.cfg.Metrics.ConnectionsRefused.WithLabelValues(l.cfg.Name, reason).Inc()
	if !l.cfg.Implicit {
		_ = nc.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = nc.Write([]byte(refusal(l.cfg.Hostname, reason))) // best effort
	}
	_ = nc.Close()
}

func refusal(host, reason string) string {
	switch reason {
	case "drain":
		return "421 4.3.2 " + host + " shutting down\r\n"
	case "rate":
		return "421 4.7.0 " + host + " too many connections in a short time\r\n"
	case "address":
		return "421 4.7.0 " + host + " too many connections from your address\r\n"
	}
	return "421 4.3.2 " + host + " too many connections\r\n"
}

// admit enters c into the registry, or says why not. A peer that speaks for
// others is counted in Conn.begin, when it has told for whom.
func (l *Listener) admit(c *Conn) (reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.draining:
		return "drain"
	case len(l.conns) >= c.set.Connections:
		return "total"
	}
	if c.proxied = door.Contains(l.cfg.ProxyFrom, c.client.Addr()); !c.proxied {
		if reason := l.clients.Enter(c.client.Addr(), c.set.ConnectionsPerIP, c.set.RatePerIP, time.Now()); reason != "" {
			return reason
		}
		c.counted = true
	}
	l.conns[c] = struct{}{}
	l.cfg.Metrics.Sessions.WithLabelValues(l.cfg.Name).Inc()
	return ""
}

// admitClient counts c under the address that a PROXY header told.
func (l *Listener) admitClient(c *Conn) (reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	reason = l.clients.Enter(c.client.Addr(), c.set.ConnectionsPerIP, c.set.RatePerIP, time.Now())
	c.counted = reason == ""
	return reason
}

// forget takes c out of the registry.
func (l *Listener) forget(c *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, there := l.conns[c]; !there {
		return
	}
	delete(l.conns, c)
	if c.counted {
		l.clients.Leave(c.client.Addr(), c.set.RatePerIP)
	}
	l.cfg.Metrics.Sessions.WithLabelValues(l.cfg.Name).Dec()
}

// underLoad reports that most of the connections are taken.
func (l *Listener) underLoad(limit int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns) > limit*9/10
}

var errRefused = errors.New("connection refused by a limit")
