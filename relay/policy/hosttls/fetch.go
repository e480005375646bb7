package hosttls

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"tenma/relay/wire/mtasts"
	"tenma/relay/wire/smtp"
)

const (
	// maxFetches is how many policies are fetched at a time.
	maxFetches = 64
	// fetchTime bounds one fetch, from the DNS to the last octet. RFC 8461
	// section 3.3 suggests a minute; but mail waits meanwhile, and a host that is
	// slower than this is as good as down.
	fetchTime = 20 * time.Second
	// dialTime bounds a try to connect to one address.
	dialTime = 5 * time.Second
	// maxTries is how many addresses are tried.
	maxTries = 4
	// maxHeader bounds the octets of the header of an answer.
	maxHeader = 16 << 10
)

var errRefused = errors.New("address is private")

// newClient makes the client that fetches policies: HTTPS with a certificate for
// the host's name, no redirects (RFC 8461 section 3.3), no proxy, no cookies,
// one request a connection.
func (a *Adviser) newClient() *http.Client {
	return &http.Client{
		Timeout: fetchTime,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
		Transport: &http.Transport{
			DialContext:            a.dial,
			TLSClientConfig:        &tls.Config{RootCAs: a.deps.Roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    dialTime,
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxHeader,
		},
	}
}

// download fetches the policy of a domain. Errors wrap mtasts.ErrPolicy where
// there is one and it is not valid.
func (a *Adviser) download(ctx context.Context, d smtp.Domain) (*mtasts.Policy, error) {
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, mtasts.URL(string(d)), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "tenma")
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %d", mtasts.Host(string(d)), resp.StatusCode)
	}
	// Web servers that show what their users put there must not be able to make
	// policies of it (RFC 8461 section 3.3).
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || kind != "text/plain" {
		return nil, fmt.Errorf("%w: its media type is %.40q, not text/plain", mtasts.ErrPolicy, resp.Header.Get("Content-Type"))
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, mtasts.MaxSize+1))
	if err != nil {
		return nil, err
	}
	return mtasts.Parse(text)
}

// dial connects to the host of a policy, past no address that a stranger's name
// must not lead us to.
func (a *Adviser) dial(ctx context.Context, _, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	found, err := a.deps.Resolver.LookupAddrs(ctx, host)
	if err != nil {
		return nil, err
	}
	last := error(fmt.Errorf("%s has no address", host))
	for _, to := range found.Records[:min(len(found.Records), maxTries)] {
		if !a.config.Load().PrivateDestinations && !a.deps.Public(to) {
			last = fmt.Errorf("%s: %w", to, errRefused)
			continue
		}
		trying, cancel := context.WithTimeout(ctx, dialTime)
		c, err := a.deps.Dialer.Dial(trying, netip.Addr{}, netip.AddrPortFrom(to, uint16(p)))
		cancel()
		if err == nil {
			return c, nil
		}
		last = err
	}
	return nil, last
}

// systemDialer dials through the operating system.
type systemDialer struct{}

func (systemDialer) Dial(ctx context.Context, _ netip.Addr, to netip.AddrPort) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", to.String())
}
