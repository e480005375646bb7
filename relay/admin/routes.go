package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tenma/relay/admin/setup"
	"tenma/spool"
)

// routes joins all that a Server answers.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	open := func(path string, h http.Handler) { mux.Handle("GET "+path, h) }
	open("/healthz", probe(s.deps.Health))
	open("/readyz", probe(s.deps.Ready))
	if s.deps.Gatherer != nil {
		open("/metrics", promhttp.HandlerFor(s.deps.Gatherer, promhttp.HandlerOpts{
			ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 8, EnableOpenMetrics: true,
		}))
	}
	for _, c := range calls() {
		mux.Handle(c.method+" "+c.path, s.authorized(s.answer(c)))
	}
	mux.Handle("GET /api/v1/openapi.json", s.authorized(s.document()))
	mux.Handle("GET /{$}", s.authorized(http.HandlerFunc(s.page)))
	mux.Handle("GET /debug/pprof/", s.authorized(http.HandlerFunc(pprof.Index)))
	mux.Handle("GET /debug/pprof/profile", s.authorized(http.HandlerFunc(pprof.Profile)))
	mux.Handle("GET /debug/pprof/trace", s.authorized(http.HandlerFunc(pprof.Trace)))
	mux.Handle("GET /debug/pprof/symbol", s.authorized(http.HandlerFunc(pprof.Symbol)))
	mux.Handle("GET /debug/pprof/cmdline", s.authorized(http.HandlerFunc(pprof.Cmdline)))
	mux.Handle("/", nowhere(mux))
	return guard(s.forAll(onlyOwnName(mux)))
}

// forAll serves what mail programs look for, and the links in messages. Both come by
// the names of domains of ours, and there is nothing to steal: no token, and no look
// at Host.
func (s *Server) forAll(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.deps.Unsubscribe != nil && s.deps.Unsubscribe.Has(r.URL.Path) {
			s.deps.Unsubscribe.ServeHTTP(w, r)
			return
		}
		if s.deps.Setup != nil && setup.Has(r.URL.Path) {
			s.deps.Setup.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// nothing answers for a listener that only serves forAll.
func nothing(w http.ResponseWriter, r *http.Request) {
	problem(w, r, &Problem{Status: http.StatusNotFound, Detail: "nothing is here but the settings for mail programs"})
}

// guard is in front of everything.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src '"+styleHash()+"'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// onlyOwnName refuses requests that came by a name that is not ours.
func onlyOwnName(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !hostFits(r) {
			problem(w, r, &Problem{Status: http.StatusMisdirectedRequest, Detail: "this listener is on loopback and answers to localhost, 127.0.0.1 and [::1] only; a proxy in front must send one of these as Host"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostFits refuses foreign names on loopback: a page of another site may have
// had its name pointed here (DNS rebinding).
func hostFits(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return true
	}
	own, err := netip.ParseAddrPort(local.String())
	if err != nil || !own.Addr().Unmap().IsLoopback() {
		return true
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && a.IsLoopback() || strings.EqualFold(host, "localhost")
}

// authorized lets through who knows the token.
func (s *Server) authorized(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reading := r.Method == http.MethodGet || r.Method == http.MethodHead
		if s.knows(r, reading) {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Add("WWW-Authenticate", `Bearer realm="tenma"`)
		if reading { // a browser asks for it then
			w.Header().Add("WWW-Authenticate", `Basic realm="tenma: any name, and the admin token as password", charset="UTF-8"`)
		}
		problem(w, r, &Problem{Status: http.StatusUnauthorized, Detail: `this needs the admin token, which lies in the relay's data directory: send "Authorization: Bearer TOKEN"`})
	})
}

func (s *Server) knows(r *http.Request, reading bool) bool {
	token := s.token.Load()
	if token == nil {
		return false
	}
	kind, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(kind, "Bearer") {
		return sameToken(strings.TrimSpace(given), *token)
	}
	_, password, ok := r.BasicAuth()
	return ok && reading && sameToken(password, *token)
}

// answer serves one call of the API.
func (s *Server) answer(c call) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, err := c.serve(s, r)
		if err == nil {
			writeJSON(w, http.StatusOK, "application/json", v)
			return
		}
		var p *Problem
		switch {
		case errors.As(err, &p):
		case errors.Is(err, spool.ErrNotFound):
			p = &Problem{Status: http.StatusNotFound, Detail: "no such message is queued; it may have been delivered, returned or deleted"}
		case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, spool.ErrClosed):
			p = &Problem{Status: http.StatusServiceUnavailable, Detail: "the relay is stopping or too busy; try again"}
		default:
			s.deps.Log.Error("a call of the API failed", "method", c.method, "path", c.path, "error", err)
			p = &Problem{Status: http.StatusInternalServerError, Detail: "it failed: " + err.Error()}
		}
		problem(w, r, p)
	})
}

// nowhere answers what no route takes: 404, or 405 where another method would do.
func nowhere(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var allow []string
		for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
			probe := &http.Request{Method: m, URL: r.URL, Host: r.Host}
			if _, pattern := mux.Handler(probe); pattern != "/" {
				allow = append(allow, m)
			}
		}
		if len(allow) > 0 && !slices.Contains(allow, r.Method) {
			w.Header().Set("Allow", strings.Join(allow, ", "))
			problem(w, r, &Problem{Status: http.StatusMethodNotAllowed, Detail: r.Method + " is not for this path; it takes " + strings.Join(allow, ", ")})
			return
		}
		problem(w, r, &Problem{Status: http.StatusNotFound, Detail: "nothing is here; /api/v1/openapi.json describes the API"})
	})
}

// probe answers 200 or 503, with the reason as text.
func probe(check func() error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if check != nil {
			if err := check(); err != nil {
				w.WriteHeader(http.StatusServiceUnavailable)
				_, _ = w.Write([]byte(err.Error() + "\n")) // the prober has gone if this fails
				return
			}
		}
		_, _ = w.Write([]byte("ok\n"))
	})
}

func problem(w http.ResponseWriter, _ *http.Request, p *Problem) {
	p.Title = http.StatusText(p.Status)
	writeJSON(w, p.Status, "application/problem+json", p)
}

func writeJSON(w http.ResponseWriter, status int, kind string, v any) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false) // nosniff keeps browsers from reading HTML into it
	_ = e.Encode(v)        // the client has gone if this fails
}
