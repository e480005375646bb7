package admin

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"
)

// Bounds of what one client can ask for. An operator's tools send little and
// quickly; a profile takes 30 s by default and a verb on a long queue longer.
const (
	maxBody        = 1 << 20 // octets of a request's body: 30,000 ids
	maxHeader      = 32 << 10
	maxConnections = 256 // per listener
	headerTimeout  = 10 * time.Second
	readTimeout    = 30 * time.Second
	writeTimeout   = 10 * time.Minute
	idleTimeout    = 2 * time.Minute
	drainTime      = 5 * time.Second // for answers under way when Run ends
)

// Server is the operator's HTTP server.
type Server struct {
	cfg       Config
	deps      Deps
	handler   http.Handler // of all
	setup     http.Handler // of listeners for setup only
	token     atomic.Pointer[string]
	listeners []net.Listener
}

// New builds a Server; nothing is opened yet.
func New(cfg Config, deps Deps) *Server {
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Random == nil {
		deps.Random = rand.Reader
	}
	if deps.Listen == nil {
		deps.Listen = net.Listen
	}
	s := &Server{cfg: cfg, deps: deps}
	s.handler, s.setup = s.routes(), guard(s.forAll(http.HandlerFunc(nothing)))
	return s
}

// Listen finds or makes the token and takes all addresses, or none.
func (s *Server) Listen() error {
	if err := s.readToken(); err != nil {
		return err
	}
	for _, l := range s.cfg.Listeners {
		ln, err := s.deps.Listen("tcp", l.Address)
		if err != nil {
			s.close()
			return fmt.Errorf("listening for HTTP on %s: %w", l.Address, err)
		}
		s.listeners = append(s.listeners, netutil.LimitListener(ln, maxConnections))
	}
	return nil
}

func (s *Server) readToken() error {
	token, err := makeToken(s.cfg.TokenPath, s.deps.Random)
	if err != nil {
		return fmt.Errorf("the admin token: %w", err)
	}
	if info, err := os.Stat(s.cfg.TokenPath); err == nil && info.Mode().Perm()&0o077 != 0 {
		s.deps.Log.Warn("others than its owner may read the admin token; chmod 600 it", "file", s.cfg.TokenPath)
	}
	s.token.Store(&token)
	return nil
}

func (s *Server) close() {
	for _, l := range s.listeners {
		_ = l.Close() // nothing was accepted from it
	}
	s.listeners = nil
}

// Addrs are the addresses that Listen took, in the order of Config.Listeners.
func (s *Server) Addrs() []net.Addr {
	var all []net.Addr
	for _, l := range s.listeners {
		all = append(all, l.Addr())
	}
	return all
}

// Apply takes the token anew from its file. Listeners do not change while the
// process runs.
func (s *Server) Apply(cfg Config) error {
	if cfg.TokenPath != s.cfg.TokenPath {
		return fmt.Errorf("the admin token stays in %s until a restart", s.cfg.TokenPath)
	}
	return s.readToken()
}

// Run serves until ctx is cancelled, lets answers under way finish, and
// returns. Its error says which listener failed. Listen must have succeeded.
func (s *Server) Run(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	var servers []*http.Server
	for i, l := range s.listeners {
		how := s.cfg.Listeners[i]
		srv := s.server(how)
		servers = append(servers, srv)
		wg.Go(func() {
			var err error
			if how.TLS {
				err = srv.ServeTLS(l, "", "")
			} else {
				err = srv.Serve(l)
			}
			if !errors.Is(err, http.ErrServerClosed) {
				stop(fmt.Errorf("serving HTTP on %s: %w", l.Addr(), err))
			}
		})
	}
	<-ctx.Done()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	for _, srv := range servers {
		wg.Go(func() {
			if srv.Shutdown(grace) != nil {
				_ = srv.Close() // what did not finish in time is cut off
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// server makes what answers on one listener.
func (s *Server) server(l Listener) *http.Server {
	srv := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		TLSConfig:         s.deps.TLS.Clone(), // Clone of nil is nil
		ErrorLog:          slog.NewLogLogger(s.deps.Log.Handler(), slog.LevelDebug),
	}
	if l.SetupOnly {
		srv.Handler = s.setup
	}
	return srv
}
