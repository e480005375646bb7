package pop3

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"tenma/metrics"
	"tenma/relay/door"
)

// Server serves mailboxes by POP3: New, then Listen, then Run; Apply and Addrs at
// any time after Listen.
type Server struct {
	cfg       atomic.Pointer[Config] // as of the last Apply
	deps      Deps
	listeners []Listener // as opened
	doors     []*door.Door
	buffers   sync.Pool // of *[]byte, outBuffer large
	logins    logins

	// open gives the INBOX of an account, locked. done gives everything back.
	open func(account string) (v view, done func(), err error)
}

// New builds a Server. Nothing listens yet.
func New(cfg Config, deps Deps) *Server {
	if deps.Metrics == nil {
		deps.Metrics = metrics.NewPOP3(nil)
	}
	if deps.Log == nil {
		deps.Log = slog.Default()
	}
	if deps.Listen == nil {
		deps.Listen = net.Listen
	}
	if deps.TLS != nil {
		// Whole messages go out here, for which the small first records that
		// suit a web page only cost.
		deps.TLS = deps.TLS.Clone()
		deps.TLS.DynamicRecordSizingDisabled = true
	}
	s := &Server{deps: deps, listeners: cfg.Listeners}
	s.buffers.New = func() any { b := make([]byte, 0, outBuffer); return &b }
	s.open = s.inbox
	cfg = cfg.withDefaults()
	s.cfg.Store(&cfg)
	return s
}

// inbox opens the real thing.
func (s *Server) inbox(account string) (view, func(), error) {
	box, err := s.deps.Mailboxes.Open(account)
	if err != nil {
		return nil, nil, err
	}
	unlock, err := box.LockPOP3()
	if err != nil {
		box.Close()
		return nil, nil, err
	}
	v, err := box.Select(inbox, false)
	if err != nil {
		unlock()
		box.Close()
		return nil, nil, err
	}
	return v, func() { v.Close(); unlock(); box.Close() }, nil
}

// Listen opens all listeners, or none and says which could not be. From then
// on clients can connect; they are served when Run runs.
func (s *Server) Listen() error {
	cfg, m := s.cfg.Load(), s.deps.Metrics
	for _, l := range s.listeners {
		if l.TLS == door.TLSImplicit && s.deps.TLS == nil {
			s.closeAll()
			return fmt.Errorf("pop3: %s: implicit TLS without a certificate", l.Address)
		}
		inner, err := s.deps.Listen("tcp", l.Address)
		if err != nil {
			s.closeAll()
			return fmt.Errorf("pop3: %w", err)
		}
		s.doors = append(s.doors, door.New(inner, door.Config{
			Name: l.Address, Protocol: "pop3", TLS: s.deps.TLS, Mode: l.TLS, ProxyFrom: l.ProxyFrom,
			Limits: limits(cfg, l), Grace: cfg.Grace, Refusal: refusalLine, Log: s.deps.Log,
			PlainOnTLS: "-ERR this port begins with TLS\r\n",
			Metrics: door.Metrics{
				Connections: m.Connections, Refused: m.Refused, Sessions: m.Sessions, TLSSessions: m.TLSSessions,
			},
		}))
	}
	return nil
}

func (s *Server) closeAll() {
	for _, d := range s.doors {
		_ = d.Close() // it has accepted nothing
	}
	s.doors = nil
}

func limits(cfg *Config, l Listener) door.Limits {
	if l.Limits != nil {
		return *l.Limits
	}
	return cfg.Limits
}

// refusalLine is what a client hears that may not come in.
func refusalLine(reason string) string {
	text := "too many connections, try later"
	switch reason {
	case "drain":
		text = "the server is shutting down"
	case "address", "rate":
		text = "too many connections from your address, try later"
	}
	return "-ERR [SYS/TEMP] " + text + "\r\n"
}

// Addrs are the addresses of the listeners, in the order of Config.Listeners.
func (s *Server) Addrs() []net.Addr {
	addrs := make([]net.Addr, len(s.doors))
	for i, d := range s.doors {
		addrs[i] = d.Addr()
	}
	return addrs
}

// Apply puts another configuration in force: limits and MaxIdle for sessions to
// come, Expire and LoginDelay for all. Other listeners want a restart; the log says
// so.
func (s *Server) Apply(cfg Config) {
	cfg = cfg.withDefaults()
	s.cfg.Store(&cfg)
	byAddress := map[string]Listener{}
	for _, l := range cfg.Listeners {
		byAddress[l.Address] = l
	}
	for i, d := range s.doors {
		address := s.listeners[i].Address
		l, ok := byAddress[address]
		if !ok {
			s.deps.Log.Warn("listener stays open until a restart", "address", address)
			continue
		}
		delete(byAddress, address)
		d.Apply(limits(&cfg, l))
	}
	for address := range byAddress {
		s.deps.Log.Warn("listener is opened at the next restart", "address", address)
	}
}

// Run serves until ctx is cancelled, then drains: sessions end between two
// commands, and what lasts longer than Config.Grace is cut. When it returns no
// goroutine of the Server is left. Its error is that of a listener that failed.
func (s *Server) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for i, d := range s.doors {
		g.Go(func() error {
			err := d.Serve(ctx, func(work context.Context, c *door.Conn) {
				s.session(work, s.listeners[i].Address, c).serve()
			})
			if err != nil {
				return fmt.Errorf("pop3: %s: %w", d.Addr(), err)
			}
			return nil
		})
	}
	return g.Wait()
}

// session begins one. work is for what it does for its client, also when the
// relay stops.
func (s *Server) session(work context.Context, listener string, sock socket) *session {
	cfg := s.cfg.Load()
	idle := cfg.MaxIdle
	for _, l := range cfg.Listeners {
		if l.Address == listener && l.MaxIdle > 0 {
			idle = max(l.MaxIdle, minIdle)
		}
	}
	return &session{
		s: s, name: listener, sock: sock, c: newConn(sock, &s.buffers), ctx: work,
		log:      s.deps.Log.With("listener", listener, "client", sock.Client()),
		deadline: time.Now().Add(loginTime), maxIdle: idle,
	}
}

// logins remembers the last login of each account, for LOGIN-DELAY.
type logins struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// tooSoon reports that less than delay has passed since the account's last
// login.
func (l *logins) tooSoon(account string, delay time.Duration) bool {
	if delay <= 0 {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.last[account]
	return ok && time.Since(at) < delay
}

// note takes down a login.
func (l *logins) note(account string, delay time.Duration) {
	if delay <= 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil || len(l.last) >= maxLogins {
		l.last = map[string]time.Time{} // a login too soon now and then is no harm
	}
	l.last[account] = time.Now()
}

// maxLogins bounds what logins remembers.
const maxLogins = 100_000
