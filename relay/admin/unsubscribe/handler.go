package unsubscribe

import (
	"bytes"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"tenma/metrics"
	"tenma/relay/mail"
)

const (
	// maxBody bounds a request's body, in octets: what is wanted is 26, and some 300
	// as multipart/form-data.
	maxBody = 4 << 10
	// minToken and maxToken are the lengths of what may be a token: it has 33 octets
	// at least, and an address in it 254 at most. Names of pages are shorter.
	minToken, maxToken = 44, 2 << 10
)

// The field by which a request says what it wants (RFC 8058 section 3.2).
const (
	fieldName = "List-Unsubscribe"
	oneClick  = "One-Click"
)

// Config is what a Handler is told.
type Config struct {
	// Base is the address that links begin with, as the world sees it, with a slash
	// at its end; nil: no links are served.
	Base *url.URL
}

// Deps are what a Handler works with.
type Deps struct {
	Links   Links
	Wishes  Wishes
	Metrics *metrics.OneClick // nil: counted for nobody
	Log     *slog.Logger      // nil: silent
}

// Handler answers who follows a link. It may be used from any goroutine.
type Handler struct {
	deps   Deps
	config atomic.Pointer[Config]
}

// New makes a Handler.
func New(c Config, d Deps) *Handler {
	if d.Metrics == nil {
		d.Metrics = metrics.New(prometheus.NewRegistry()).OneClick
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	h := &Handler{deps: d}
	h.Apply(c)
	return h
}

// Apply puts another configuration in force.
func (h *Handler) Apply(c Config) { h.config.Store(&c) }

// Has reports that a path looks like that of a link: a token behind the path of
// Base, or behind a slash alone, since a proxy in front may take the rest away.
func (h *Handler) Has(path string) bool {
	_, ok := h.token(path)
	return ok
}

func (h *Handler) token(path string) (string, bool) {
	base := h.config.Load().Base
	if base == nil {
		return "", false
	}
	t, ok := strings.CutPrefix(path, base.Path)
	if !ok {
		t, ok = strings.CutPrefix(path, "/")
	}
	return t, ok && len(t) >= minToken && len(t) <= maxToken && strings.Trim(t, letters) == ""
}

// letters are those of base64url (RFC 4648 section 5).
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// ServeHTTP answers a request for a path that Has.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token, _ := h.token(r.URL.Path)
	ref, err := h.deps.Links.Open(token)
	switch {
	case err != nil:
		h.show(w, http.StatusNotFound, unknown, "unknown", ref)
	case r.Method == http.MethodGet, r.Method == http.MethodHead:
		h.show(w, http.StatusOK, question, "asked", ref)
	case r.Method == http.MethodPost:
		h.post(w, r, ref)
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		h.show(w, http.StatusMethodNotAllowed, unclear, "unclear", ref)
	}
}

// post does what is wanted. Who repeats it hears the same (RFC 8058 section 3.2
// knows no other answer than success, and no redirection).
func (h *Handler) post(w http.ResponseWriter, r *http.Request, ref mail.Reference) {
	if !wanted(w, r) {
		h.show(w, http.StatusBadRequest, unclear, "unclear", ref)
		return
	}
	again, err := h.deps.Wishes.Unsubscribe(r.Context(), ref)
	if err != nil {
		h.deps.Log.Error("somebody could not be unsubscribed", "id", ref.ID, "tenant", ref.Tenant, "error", err)
		w.Header().Set("Retry-After", "60")
		h.show(w, http.StatusServiceUnavailable, later, "failed", ref)
		return
	}
	h.show(w, http.StatusOK, done, map[bool]string{true: "again", false: "done"}[again], ref)
}

// wanted reads the body of a request: a form in either coding that has the one
// field. The first field that is it decides; what else there is does not matter.
func wanted(w http.ResponseWriter, r *http.Request) bool {
	body := http.MaxBytesReader(w, r.Body, maxBody)
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return false
	}
	switch kind {
	case "application/x-www-form-urlencoded":
		var text bytes.Buffer
		if _, err := text.ReadFrom(body); err != nil {
			return false
		}
		form, err := url.ParseQuery(text.String())
		return err == nil && form.Get(fieldName) == oneClick
	case "multipart/form-data":
		form, err := multipart.NewReader(body, params["boundary"]).ReadForm(maxBody)
		if err != nil {
			return false
		}
		defer func() { _ = form.RemoveAll() }() // all of it is in memory
		v := form.Value[fieldName]
		return len(v) > 0 && v[0] == oneClick
	}
	return false
}
