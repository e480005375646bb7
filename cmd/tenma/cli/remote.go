package cli

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"tenma/relay/admin"
	"tenma/relay/config"
)

// Remote is the flags of commands that talk to a running relay.
type Remote struct {
	Settings
	URL       string `name:"url" placeholder:"URL" help:"Address of the relay's HTTP listener. Without it: the first one of the configuration."`
	TokenFile string `placeholder:"FILE" help:"File with the admin token. Without it: admin-token in the data directory."`
	JSON      bool   `name:"json" help:"Print as JSON."`

	tokenPath string
}

// Client finds the relay.
func (r *Remote) Client() (*admin.Client, error) {
	if r.URL != "" && !strings.HasPrefix(r.URL, "http://") && !strings.HasPrefix(r.URL, "https://") {
		return nil, Misuse("--url begins with http:// or https://, such as http://127.0.0.1:2580")
	}
	c := &admin.Client{URL: r.URL, HTTP: &http.Client{Timeout: 10 * time.Minute}}
	r.tokenPath = r.TokenFile
	if r.URL == "" || r.TokenFile == "" {
		cfg, err := r.Peek()
		if err != nil {
			return nil, err
		}
		if err := r.fill(c, cfg); err != nil {
			return nil, err
		}
	}
	token, err := admin.ReadToken(r.tokenPath)
	switch {
	case errors.Is(err, os.ErrNotExist) && r.TokenFile == "" && r.Config == "":
		return nil, fmt.Errorf("no relay has run here: %s is missing; name the relay with -c FILE, or --url and --token-file", r.tokenPath)
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("the admin token %s is missing; the relay makes it when it first starts", r.tokenPath)
	case errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("the admin token %s may not be read; run this as the relay's user, or give --token-file", r.tokenPath)
	case err != nil:
		return nil, fmt.Errorf("reading the admin token: %w", err)
	}
	c.Token = token
	return c, nil
}

// fill takes from the configuration what no flag said.
func (r *Remote) fill(c *admin.Client, cfg *config.Config) error {
	if r.tokenPath == "" {
		r.tokenPath = cfg.Admin.TokenPath
	}
	if c.URL != "" {
		return nil
	}
	if len(cfg.Admin.Listeners) == 0 {
		return errors.New(`the configuration has no [[listen]] with protocol = "http", through which this command would reach the relay`)
	}
	l := cfg.Admin.Listeners[0]
	c.URL = "http://" + Reachable(l.Address)
	if !l.TLS {
		return nil
	}
	c.URL = "https://" + Reachable(l.Address)
	// The relay's own certificate is believed, under the relay's own name.
	pem, err := os.ReadFile(cfg.TLS.Certificate)
	if err != nil {
		return fmt.Errorf("reading the relay's certificate: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	roots.AppendCertsFromPEM(pem)
	c.HTTP.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: cfg.Hostname, MinVersion: tls.VersionTLS12}}
	return nil
}

// Reachable turns a listener's address into one to dial.
func Reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip != nil && ip.To4() == nil {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, port)
}

// Explain turns a client's error into what to do about it.
func (r *Remote) Explain(c *admin.Client, err error) error {
	var p *admin.Problem
	var op *net.OpError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &p) && p.Status == http.StatusUnauthorized:
		return fmt.Errorf("the relay at %s refuses the token in %s; is it another relay's? give --token-file", c.URL, r.tokenPath)
	case errors.As(err, &p):
		return p
	case errors.As(err, &op) && op.Op == "dial":
		return fmt.Errorf("no relay answers at %s: %w; start it with \"tenma serve\", or name another with -c FILE or --url", c.URL, op.Err)
	}
	return fmt.Errorf("asking the relay at %s: %w", c.URL, err)
}
