package web

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"tenma/dnscache"
)

// hosts are addresses by name.
type hosts map[string][]string

func (h hosts) LookupAddrs(_ context.Context, name string) (a dnscache.Answer[netip.Addr], err error) {
	for _, s := range h[name] {
		a.Records = append(a.Records, netip.MustParseAddr(s))
	}
	if a.Records == nil {
		err = dnscache.ErrNotFound
	}
	return a, err
}

// toServer brings every connection to one server, and notes what was dialled.
type toServer struct {
	address string
	dialled []string
	down    string // an address at which nobody is
}

func (d *toServer) Dial(ctx context.Context, _ netip.Addr, to netip.AddrPort) (net.Conn, error) {
	d.dialled = append(d.dialled, to.String())
	if to.Addr().String() == d.down {
		return nil, errors.New("nobody is there")
	}
	return new(net.Dialer).DialContext(ctx, "tcp", d.address)
}

func TestClient(t *testing.T) {
	served := 0
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		served++
		switch q.URL.Path {
		case "/moved":
			http.Redirect(w, q, "https://example.com/elsewhere", http.StatusMovedPermanently)
		case "/head":
			w.Header().Set("X", strings.Repeat("x", maxHeader))
		}
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS() // its certificate is for example.com
	defer server.Close()
	roots := server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	names := hosts{
		"example.com": {"192.0.2.1"}, "inside.test": {"10.0.0.1"}, "both.test": {"10.0.0.1", "192.0.2.2"},
		"many.test": {"192.0.2.11", "192.0.2.11", "192.0.2.11", "192.0.2.11", "192.0.2.2"},
	}
	for _, c := range []struct {
		url        string
		unverified bool
		want       string // status, or part of the error
		dialled    string
	}{
		{"https://example.com/", false, "200 OK", "192.0.2.1:443"},
		{"https://example.com:8443/", false, "200 OK", "192.0.2.1:8443"},
		{"https://example.com/moved", false, "301 Moved Permanently", "192.0.2.1:443"},
		{"https://example.com/head", false, "response headers exceeded", "192.0.2.1:443"},
		{"https://inside.test/", true, "address is private", ""},
		{"https://10.0.0.1/", true, "address is private", ""},
		{"https://[::ffff:10.0.0.1]/", true, "address is private", ""},
		{"https://127.0.0.1/", true, "address is private", ""},
		{"https://both.test/", false, "certificate is valid for", "192.0.2.2:443"},
		{"https://both.test/", true, "200 OK", "192.0.2.2:443"},
		{"https://none.test/", true, "no such domain", ""},
		{"https://many.test/", true, "nobody is there", "192.0.2.11:443 192.0.2.11:443 192.0.2.11:443 192.0.2.11:443"},
	} {
		dialer := &toServer{address: server.Listener.Addr().String(), down: "192.0.2.11"}
		client := NewClient(Way{
			Resolver: names, Dialer: dialer, Roots: roots, Unverified: c.unverified,
			Allowed: func(a netip.Addr) bool { return !a.IsPrivate() && !a.IsLoopback() },
		})
		resp, err := client.Get(c.url)
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = resp.Status
			resp.Body.Close()
		}
		if !strings.Contains(got, c.want) || strings.Join(dialer.dialled, " ") != c.dialled {
			t.Errorf("%s (unverified: %v): %s, dialled %v", c.url, c.unverified, got, dialer.dialled)
		}
		if strings.Contains(c.want, "valid for") {
			if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
				t.Errorf("%T", err)
			}
		}
		if strings.Contains(c.want, "private") && !errors.Is(err, ErrRefused) {
			t.Errorf("%v", err)
		}
	}
	if served != 5 {
		t.Errorf("%d requests", served)
	}
}
