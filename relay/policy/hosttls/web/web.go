// Package web makes HTTPS clients for hosts that strangers name: in the DNS, where
// the policies of their domains are (RFC 8461) and where they want reports (RFC
// 8460). Such a name must not lead the relay to what only it can reach, nor keep it
// waiting: the client goes to public addresses alone, follows no redirect, asks no
// proxy, keeps no cookies and no connection, and gives up in time.
package web

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"tenma/dnscache"
)

const (
	// Time bounds one request, from the DNS to the last octet. RFC 8461 section
	// 3.3 suggests a minute; but mail may wait meanwhile, and a host that is slower
	// than this is as good as down.
	Time = 20 * time.Second
	// dialTime bounds a try to connect to one address.
	dialTime = 5 * time.Second
	// maxTries is how many addresses are tried.
	maxTries = 4
	// maxHeader bounds the octets of the header of an answer.
	maxHeader = 16 << 10
)

// ErrRefused is wrapped by errors of hosts that lead to addresses which are not
// public.
var ErrRefused = errors.New("address is private")

// Resolver finds the addresses of hosts.
type Resolver interface {
	LookupAddrs(ctx context.Context, host string) (dnscache.Answer[netip.Addr], error)
}

// Dialer opens connections.
type Dialer interface {
	Dial(ctx context.Context, local netip.Addr, to netip.AddrPort) (net.Conn, error)
}

// Way is how a client finds to hosts.
type Way struct {
	Resolver Resolver
	Dialer   Dialer                // nil: the system's
	Allowed  func(netip.Addr) bool // an address that strangers' names may lead to
	Roots    *x509.CertPool        // that vouch for hosts; nil: the system's
	// Unverified: any certificate will do.
	Unverified bool
}

// NewClient makes a client. It follows no redirect: a 3xx is the answer (RFC 8461
// section 3.3).
func NewClient(w Way) *http.Client {
	if w.Dialer == nil {
		w.Dialer = systemDialer{}
	}
	return &http.Client{
		Timeout: Time,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
		Transport: &http.Transport{
			DialContext:            w.dial,
			TLSClientConfig:        &tls.Config{RootCAs: w.Roots, MinVersion: tls.VersionTLS12, InsecureSkipVerify: w.Unverified},
			TLSHandshakeTimeout:    dialTime,
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxHeader,
		},
	}
}

// dial connects to a host, past no address that a stranger's name must not lead
// us to.
func (w *Way) dial(ctx context.Context, _, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	addrs, err := w.addresses(ctx, host)
	if err != nil {
		return nil, err
	}
	last := fmt.Errorf("%s has no address", host)
	for _, to := range addrs[:min(len(addrs), maxTries)] {
		if !w.Allowed(to) {
			last = fmt.Errorf("%s: %w", to, ErrRefused)
			continue
		}
		trying, cancel := context.WithTimeout(ctx, dialTime)
		c, err := w.Dialer.Dial(trying, netip.Addr{}, netip.AddrPortFrom(to, uint16(p)))
		cancel()
		if err == nil {
			return c, nil
		}
		last = err
	}
	return nil, last
}

// addresses looks a host up, unless it is an address already.
func (w *Way) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	found, err := w.Resolver.LookupAddrs(ctx, host)
	return found.Records, err
}

// systemDialer dials through the operating system.
type systemDialer struct{}

func (systemDialer) Dial(ctx context.Context, _ netip.Addr, to netip.AddrPort) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", to.String())
}
