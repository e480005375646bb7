package ingress

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	gosmtp "github.com/emersion/go-smtp"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"tenma/metrics"
	"tenma/relay/ingress/front"
	"tenma/relay/ingress/rate"
)

// defaultGrace is how long a message in progress may take to end at shutdown.
const defaultGrace = 30 * time.Second

// Server accepts mail. It answers 250 to the end of a message when Intake has
// returned nil for the whole of it, never before (promise 1 of package relay).
//
// New, then Listen, then Run; Apply and Addrs at any time after Listen.
type Server struct {
	cfg   Config
	deps  Deps
	doors []*door

	accounts atomic.Pointer[AccountLimits] // as of the last Apply
	rates    rate.Table

	// work is the context of Accept and of the Authenticator: cancelled not
	// by the drain but by the end of its grace.
	work     context.Context
	stopWork context.CancelFunc

	started  time.Time     // the first part of session ids
	sessions atomic.Uint64 // the second
}

// door is one listener: its front, and the go-smtp server that serves it.
type door struct {
	s     *Server
	front *front.Listener
	smtp  *gosmtp.Server

	mu  sync.RWMutex
	cfg Listener // as of the last Apply
}

// New builds a Server. Nothing listens yet.
func New(cfg Config, deps Deps) *Server {
	if deps.Metrics == nil {
		deps.Metrics = metrics.New(prometheus.NewRegistry()).Ingress
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
	s := &Server{cfg: cfg, deps: deps, started: time.Now()}
	s.accounts.Store(&cfg.Accounts)
	s.work, s.stopWork = context.WithCancel(context.Background())
	return s
}

// Listen opens all listeners, or none and says which could not be. From then
// on clients can connect; they are served when Run runs.
func (s *Server) Listen() error {
	for _, cfg := range s.cfg.Listeners {
		if cfg.TLS == TLSImplicit && s.deps.TLS == nil {
			s.closeAll()
			return fmt.Errorf("ingress: %s: implicit TLS without a certificate", cfg.Address)
		}
		inner, err := s.deps.Listen("tcp", cfg.Address)
		if err != nil {
			s.closeAll()
			return fmt.Errorf("ingress: %w", err)
		}
		s.doors = append(s.doors, s.open(cfg, inner))
	}
	return nil
}

func (s *Server) closeAll() {
	for _, d := range s.doors {
		_ = d.front.Close() // it has accepted nothing
	}
	s.doors = nil
}

func (s *Server) open(cfg Listener, inner net.Listener) *door {
	d := &door{s: s, cfg: cfg}
	fc := front.Config{
		Name: cfg.Address, Hostname: s.cfg.Hostname, LMTP: cfg.LMTP,
		Implicit: cfg.TLS == TLSImplicit, ProxyFrom: cfg.ProxyFrom, Metrics: s.deps.Metrics,
	}
	if cfg.TLS != TLSOff {
		fc.TLS = s.deps.TLS
	}
	d.front = front.NewListener(inner, fc, settings(s.cfg, cfg))

	// The front owns TLS, time, sizes and the CHUNKING of go-smtp, and tells
	// it no more than it must know of them.
	d.smtp = gosmtp.NewServer(d)
	d.smtp.Domain = s.cfg.Hostname
	d.smtp.LMTP = cfg.LMTP
	d.smtp.MaxLineLength = 1 << 20
	d.smtp.AllowInsecureAuth = true // the front refuses AUTH without TLS
	d.smtp.EnableSMTPUTF8 = true
	d.smtp.EnableREQUIRETLS = true
	d.smtp.EnableDSN = true
	d.smtp.ErrorLog = logger{s.deps.Log}
	return d
}

func settings(cfg Config, l Listener) front.Settings {
	set := front.Settings{Limits: cfg.Limits, Vouched: l.RelayFrom}
	if l.Limits != nil {
		set.Limits = *l.Limits
	}
	switch l.BareLF {
	case LFRefuse:
		set.BareLF = front.LFNobody
	case LFNormalize:
		set.BareLF = front.LFAnybody
	default:
		set.BareLF = front.LFVouched
	}
	return set
}

// Addrs are the addresses of the listeners, in the order of Config.Listeners.
func (s *Server) Addrs() []net.Addr {
	addrs := make([]net.Addr, len(s.doors))
	for i, d := range s.doors {
		addrs[i] = d.front.Addr()
	}
	return addrs
}

// Apply changes what may change while listeners stay open, found by address:
// limits, relay_from, bare LF, AUTH and the limits of accounts. Connections keep what they began with
// but for AUTH. Other changes want a restart; the log says so.
func (s *Server) Apply(cfg Config) {
	s.accounts.Store(&cfg.Accounts)
	byAddress := map[string]Listener{}
	for _, l := range cfg.Listeners {
		byAddress[l.Address] = l
	}
	for _, d := range s.doors {
		now := d.config()
		l, ok := byAddress[now.Address]
		if !ok {
			s.deps.Log.Warn("listener stays open until a restart", "address", now.Address)
			continue
		}
		delete(byAddress, now.Address)
		d.front.Apply(settings(cfg, l))
		now.RelayFrom, now.BareLF, now.Limits = l.RelayFrom, l.BareLF, l.Limits
		now.Auth, now.Submission, now.TrustTenantHeader = l.Auth, l.Submission, l.TrustTenantHeader
		d.mu.Lock()
		d.cfg = now
		d.mu.Unlock()
	}
	for address := range byAddress {
		s.deps.Log.Warn("listener is opened at the next restart", "address", address)
	}
}

func (d *door) config() Listener {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.cfg
}

// Run serves until ctx is cancelled, then drains: the listeners are closed,
// idle clients hear 421, a message in progress may end within Config.Grace.
// When it returns no goroutine of the Server is left. Its error is that of a
// listener that failed.
func (s *Server) Run(ctx context.Context) error {
	defer s.stopWork()
	g, ctx := errgroup.WithContext(ctx)
	for _, d := range s.doors {
		g.Go(func() error {
			err := d.smtp.Serve(d.front) // ends when the front is closed
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("ingress: %s: %w", d.front.Addr(), err)
		})
	}
	g.Go(func() error {
		<-ctx.Done()
		for _, d := range s.doors {
			d.front.Drain()
		}
		return nil
	})
	err := g.Wait()

	grace := time.AfterFunc(s.cfg.Grace, func() {
		s.stopWork()
		for _, d := range s.doors {
			d.front.Abort()
		}
	})
	defer grace.Stop()
	for _, d := range s.doors {
		// Waits for the goroutines of connections. The listener is closed
		// already, and without a deadline there is no other error.
		_ = d.smtp.Shutdown(context.Background())
	}
	return err
}

// NewSession is go-smtp's call at the first EHLO.
func (d *door) NewSession(c *gosmtp.Conn) (gosmtp.Session, error) {
	fc, ok := c.Conn().(*front.Conn)
	if !ok {
		return nil, &gosmtp.SMTPError{Code: 421, EnhancedCode: gosmtp.EnhancedCode{4, 3, 0}, Message: "internal error"}
	}
	return newSession(d, c, fc), nil
}

// logger is the program log as go-smtp wants it. What it reports are panics
// and failures of accept.
type logger struct{ *slog.Logger }

func (l logger) Printf(format string, v ...any) {
	l.Error(strings.TrimSpace(fmt.Sprintf(format, v...)), "from", "go-smtp")
}

func (l logger) Println(v ...any) {
	l.Error(strings.TrimSpace(fmt.Sprintln(v...)), "from", "go-smtp")
}
