package imap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"time"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"tenma/metrics"
	"tenma/relay/door"
	"tenma/relay/mailbox"
	"tenma/relay/mailbox/imap/front"
)

// defaultGrace is Config.Grace where it is not set.
const defaultGrace = 10 * time.Second

// defaultTransfer is Config.MaxTransfer where it is not set: twice what is in a folder
// that a person can still call large.
const defaultTransfer = 200_000

// Server serves mailboxes by IMAP: New, then Listen, then Run; Apply and Addrs at
// any time after Listen.
type Server struct {
	deps  Deps
	doors []*listener

	cfg Config // as it was at the start

	// work is the context of what sessions ask of the store and the
	// Authenticator: cancelled when the grace of a drain is over.
	work     context.Context
	stopWork context.CancelFunc
	sessions atomic.Uint64 // the last part of session ids
	started  time.Time     // the first
}

// listener is one door, and the library's server behind it.
type listener struct {
	s      *Server
	cfg    Listener
	door   *door.Door
	front  *front.Config
	accept *front.Listener
	lib    *imapserver.Server
}

// New builds a Server. Nothing listens yet.
func New(cfg Config, deps Deps) *Server {
	if deps.Metrics == nil {
		deps.Metrics = metrics.NewIMAP(prometheus.NewRegistry())
	}
	if deps.Log == nil {
		deps.Log = slog.Default()
	}
	if deps.Listen == nil {
		deps.Listen = net.Listen
	}
	if cfg.Grace <= 0 {
		cfg.Grace = defaultGrace
	}
	if cfg.MaxTransfer <= 0 {
		cfg.MaxTransfer = defaultTransfer
	}
	if cfg.MessageSize <= 0 {
		cfg.MessageSize = mailbox.DefaultConfig().MessageSize
	}
	s := &Server{cfg: cfg, deps: deps, started: time.Now()}
	s.work, s.stopWork = context.WithCancel(context.Background())
	return s
}

// Listen opens all listeners, or none and says which could not be.
func (s *Server) Listen() error {
	for _, cfg := range s.cfg.Listeners {
		if cfg.TLS == door.TLSImplicit && s.deps.TLS == nil {
			s.closeAll()
			return fmt.Errorf("imap: %s: implicit TLS without a certificate", cfg.Address)
		}
		inner, err := s.deps.Listen("tcp", cfg.Address)
		if err != nil {
			s.closeAll()
			return fmt.Errorf("imap: %w", err)
		}
		s.doors = append(s.doors, s.open(cfg, inner))
	}
	return nil
}

func (s *Server) closeAll() {
	for _, l := range s.doors {
		_ = l.door.Close() // it has accepted nothing
	}
	s.doors = nil
}

func (s *Server) open(cfg Listener, inner net.Listener) *listener {
	l := &listener{s: s, cfg: cfg}
	log := s.deps.Log.With("listener", cfg.Address)
	l.front = &front.Config{
		Hostname: s.cfg.Hostname, Own: ownCommands(), CommandSize: s.cfg.CommandSize, MaxIdle: s.cfg.MaxIdle, Log: log,
	}
	l.door = door.New(inner, door.Config{
		Name: cfg.Address, Protocol: "imap", TLS: s.deps.TLS, Mode: cfg.TLS, ProxyFrom: cfg.ProxyFrom,
		Limits: limits(s.cfg, cfg), Grace: s.cfg.Grace, Refusal: refusal, Log: s.deps.Log,
	})
	l.accept = front.NewListener(inner.Addr())
	l.lib = imapserver.New(&imapserver.Options{
		NewSession: l.newSession, Caps: libraryCaps(), Logger: logger{log},
		InsecureAuth: true, // the front refuses passwords without TLS
	})
	return l
}

func limits(cfg Config, l Listener) door.Limits {
	if l.Limits != nil {
		return *l.Limits
	}
	return cfg.Limits
}

// refusal is what a client hears that may not come in (RFC 9051 section 7.1.5).
func refusal(reason string) string {
	switch reason {
	case "drain":
		return "* BYE [UNAVAILABLE] The server is stopping, try again in a minute\r\n"
	case "total":
		return "* BYE [UNAVAILABLE] Too many connections, try again later\r\n"
	}
	return "* BYE [LIMIT] Too many connections from your address\r\n"
}

// libraryCaps are what the library offers by itself; session.Capabilities edits
// its list.
func libraryCaps() goimap.CapSet {
	return goimap.CapSet{
		goimap.CapIMAP4rev1: {}, goimap.CapIMAP4rev2: {}, goimap.CapBinary: {},
		goimap.CapSpecialUse: {}, goimap.CapCreateSpecialUse: {},
	}
}

// Addrs are the addresses of the listeners, in the order of Config.Listeners.
func (s *Server) Addrs() []net.Addr {
	addrs := make([]net.Addr, len(s.doors))
	for i, l := range s.doors {
		addrs[i] = l.door.Addr()
	}
	return addrs
}

// Apply puts another configuration in force: limits of connections, for those to
// come. Other changes, and other listeners, want a restart; the log says so.
func (s *Server) Apply(cfg Config) {
	byAddress := map[string]Listener{}
	for _, l := range cfg.Listeners {
		byAddress[l.Address] = l
	}
	for _, l := range s.doors {
		now, ok := byAddress[l.cfg.Address]
		if !ok {
			s.deps.Log.Warn("listener stays open until a restart", "address", l.cfg.Address)
			continue
		}
		delete(byAddress, l.cfg.Address)
		l.door.Apply(limits(cfg, now))
	}
	for address := range byAddress {
		s.deps.Log.Warn("listener is opened at the next restart", "address", address)
	}
}

// Run serves until ctx is cancelled, then drains: idle clients hear BYE, a command
// in progress may end within Config.Grace. When it returns no connection is left.
// Its error is that of a listener that failed.
func (s *Server) Run(ctx context.Context) error {
	defer s.stopWork()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(s.cfg.Grace, s.stopWork) })
	defer stop()
	g, ctx := errgroup.WithContext(ctx)
	for _, l := range s.doors {
		g.Go(func() error {
			if err := l.lib.Serve(l.accept); err != nil {
				return fmt.Errorf("imap: %s: %w", l.cfg.Address, err)
			}
			return nil
		})
		g.Go(func() error {
			defer l.accept.Close() //nolint:errcheck // it ends the library's Serve, and cannot fail
			err := l.door.Serve(ctx, l.serve)
			if err != nil {
				return fmt.Errorf("imap: %s: %w", l.cfg.Address, err)
			}
			return nil
		})
	}
	return g.Wait()
}

func (l *listener) serve(_ context.Context, c *door.Conn) {
	m := l.s.deps.Metrics
	m.Sessions.WithLabelValues(l.cfg.Address).Inc()
	defer m.Sessions.WithLabelValues(l.cfg.Address).Dec()
	l.accept.Serve(front.New(c, l.front))
}

// newSession is the library's call for each connection.
func (l *listener) newSession(c *imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
	fc, isFront := c.NetConn().(*front.Conn)
	if !isFront {
		return nil, nil, errors.New("imap: a connection that no front made")
	}
	n := l.s.sessions.Add(1)
	s := newSession(l, c, fc, fmt.Sprintf("%x-%x", l.s.started.UnixMilli(), n))
	fc.Attach(commands{s})
	return s, &imapserver.GreetingData{}, nil
}

// logger is the program log as the library wants it. What it reports are panics
// and commands that it could not read.
type logger struct{ *slog.Logger }

func (l logger) Printf(format string, v ...any) {
	text := strings.TrimSpace(fmt.Sprintf(format, v...))
	if strings.HasPrefix(text, "panic") {
		l.Error(text, "from", "go-imap")
		return
	}
	l.Debug(text, "from", "go-imap")
}
