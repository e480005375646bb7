package dns

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/smtp"
	"time"

	"tenma/dnscache"
	"tenma/relay/wire/mtasts"
)

// Limits of one look.
const (
	fetchTime = time.Minute // RFC 8461 section 3.3
	helloTime = 30 * time.Second
)

// probe looks at what records stand for: policies and certificates.
type probe struct {
	hostname string
	dns      *dnscache.Cache
	client   *http.Client
}

func newProbe(hostname string, dns *dnscache.Cache) *probe {
	p := &probe{hostname: hostname, dns: dns}
	p.client = &http.Client{
		Timeout:   fetchTime,
		Transport: &http.Transport{DialContext: p.dial, DisableKeepAlives: true},
		// RFC 8461 section 3.3: redirects must not be followed.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return p
}

// dial connects to a host whose addresses the same DNS tells that is checked.
func (p *probe) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addrs := []netip.Addr{}
	if a, err := netip.ParseAddr(host); err == nil {
		addrs = append(addrs, a)
	} else {
		answer, err := p.dns.LookupAddrs(ctx, host)
		if err != nil {
			return nil, err
		}
		addrs = answer.Records
	}
	var errs []error
	for _, a := range addrs {
		conn, err := (&net.Dialer{Timeout: helloTime / 3}).DialContext(ctx, network, net.JoinHostPort(a.String(), port))
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// Policy fetches a policy as a sender would.
func (p *probe) Policy(ctx context.Context, domain string) (*mtasts.Policy, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, mtasts.URL(domain), nil)
	if err != nil {
		return nil, err
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %s", resp.Status)
	}
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || kind != "text/plain" {
		return nil, fmt.Errorf("its media type is %.40q, not text/plain", resp.Header.Get("Content-Type"))
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, mtasts.MaxSize+1))
	if err != nil {
		return nil, err
	}
	return mtasts.Parse(text)
}

// Chain gives the certificates that a mail host shows after STARTTLS.
func (p *probe) Chain(ctx context.Context, host string) ([]*x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, helloTime)
	defer cancel()
	conn, err := p.dial(ctx, "tcp", net.JoinHostPort(host, "25"))
	if err != nil {
		return nil, err
	}
	defer conn.Close() //nolint:errcheck // it is only listened to
	if end, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(end); err != nil {
			return nil, err
		}
	}
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		return nil, err
	}
	if err := c.Hello(p.hostname); err != nil {
		return nil, err
	}
	// The records judge the certificate, whoever signed it.
	if err := c.StartTLS(&tls.Config{ServerName: host, InsecureSkipVerify: true}); err != nil { //nolint:gosec // see above
		return nil, err
	}
	state, _ := c.TLSConnectionState()
	_ = c.Quit() // what was wanted has been seen
	return state.PeerCertificates, nil
}
