package setup

import (
	"net"
	"net/http"
	"strings"
	"sync/atomic"

	"tenma/relay/wire/smtp"
)

// maxAddress bounds an address that a client gives, in octets: 64 of a local
// part, 255 of a domain and the at sign (RFC 5321 section 4.5.3.1).
const maxAddress = 320

// Handler answers mail programs. It may be used from any goroutine.
type Handler struct{ config atomic.Pointer[Config] }

// New makes a Handler.
func New(c Config) *Handler {
	h := &Handler{}
	h.Apply(c)
	return h
}

// Apply puts another configuration in force.
func (h *Handler) Apply(c Config) { h.config.Store(&c) }

// Has reports that a path is one of those that the Handler answers. Outlook is
// not sure of the case of letters, so case does not count.
func Has(path string) bool {
	path = strings.ToLower(path)
	return pages[path] != nil || strings.HasPrefix(path, jsonPath+"/v1.0/")
}

// The paths, in lower case.
const (
	xmlPath  = "/autodiscover/autodiscover.xml"
	jsonPath = "/autodiscover/autodiscover.json"
)

type page = func(c *Config, w http.ResponseWriter, r *http.Request)

// pages is fixed.
var pages = map[string]page{
	"/.well-known/autoconfig/mail/config-v1.1.xml": autoconfig,
	"/mail/config-v1.1.xml":                        autoconfig,
	xmlPath:                                        autodiscover,
	jsonPath:                                       autodiscoverJSON,
	"/apple.mobileconfig":                          profile,
	"/.well-known/mta-sts.txt":                     policy,
}

// ServeHTTP answers a request for a path that Has.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.ToLower(r.URL.Path)
	serve := pages[path]
	if serve == nil && strings.HasPrefix(path, jsonPath+"/v1.0/") {
		serve = autodiscoverJSON
	}
	posts := path == xmlPath
	switch {
	case serve == nil:
		http.NotFound(w, r)
	case r.Method == http.MethodPost && posts, r.Method == http.MethodGet, r.Method == http.MethodHead:
		serve(h.config.Load(), w, r)
	default:
		allow := "GET, HEAD"
		if posts {
			allow += ", POST"
		}
		w.Header().Set("Allow", allow)
		http.Error(w, "this page takes "+allow, http.StatusMethodNotAllowed)
	}
}

// address reads an address of a domain that lives here.
func (c *Config) address(text string) (smtp.Address, bool) {
	text = strings.TrimSpace(text)
	if len(text) > maxAddress {
		return smtp.Address{}, false
	}
	a, err := smtp.ParseMailbox(text)
	if err != nil || !c.has(a.Domain) {
		return smtp.Address{}, false
	}
	return a, true
}

// domain finds which domain a request is about: that of the address, else the
// one behind prefix in the name that the request was sent to, else the only one.
func (c *Config) domain(r *http.Request, address, prefix string) (smtp.Domain, bool) {
	if address != "" {
		a, ok := c.address(address)
		return a.Domain, ok
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	for _, name := range []string{strings.TrimPrefix(strings.ToLower(host), prefix), host} {
		if d, err := smtp.ParseDomain(name); err == nil && c.has(d) {
			return d, true
		}
	}
	if len(c.Domains) == 1 {
		return c.Domains[0], true
	}
	return "", false
}

// unknown is the answer about a domain that does not live here.
func unknown(w http.ResponseWriter) {
	http.Error(w, "no such domain here", http.StatusNotFound)
}

func send(w http.ResponseWriter, kind string, text []byte) {
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(text) // the client has gone if this fails
}
