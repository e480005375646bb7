package hosttls

import (
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/netip"

	"tenma/relay/policy/hosttls/web"
	"tenma/relay/wire/mtasts"
	"tenma/relay/wire/smtp"
)

// maxFetches is how many policies are fetched at a time.
const maxFetches = 64

// newClient makes the client that fetches policies: HTTPS with a certificate for
// the host's name, and no redirects (RFC 8461 section 3.3).
func (a *Adviser) newClient() *http.Client {
	return web.NewClient(web.Way{
		Resolver: a.deps.Resolver, Dialer: a.deps.Dialer, Roots: a.deps.Roots,
		Allowed: func(to netip.Addr) bool { return a.config.Load().PrivateDestinations || a.deps.Public(to) },
	})
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
