package tlsrpt

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"tenma/relay/wire/tlsrpt"
)

// maxAnswer is how much of an answer is read. Nothing in it counts but its code.
const maxAnswer = 4 << 10

// post sends a report by HTTPS (RFC 8460 section 5.4). A certificate that does not
// fit does not stop it: reports must arrive in spite of failures of TLS, for these
// are what they tell, and they hold nothing that is not the domain's own to know
// (section 3).
func (s *Stage) post(ctx context.Context, d *delivery, to *url.URL) error {
	packed, err := d.report.Gzip()
	if err != nil {
		return err
	}
	err = postBy(ctx, s.deps.Verified, to, packed)
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		s.deps.Log.Info("the receiver of a TLS report shows a certificate that does not fit; it gets the report all the same", "to", to.String(), "error", err)
		err = postBy(ctx, s.deps.Unverified, to, packed)
	}
	return err
}

func postBy(ctx context.Context, c Client, to *url.URL, packed []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader(packed))
	if err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	req.Header.Set("Content-Type", tlsrpt.TypeGzip)
	req.Header.Set("User-Agent", "tenma")
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()                                          //nolint:errcheck // only read
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer)) // it may want to finish its words
	switch code := resp.StatusCode; {
	case code/100 == 2:
		return nil
	case code == http.StatusRequestTimeout, code == http.StatusTooManyRequests, code/100 == 5:
		return fmt.Errorf("%s answers %d", to.Host, code)
	default: // a redirect too: it would be a stranger's word for another place
		return fmt.Errorf("%w: %s answers %d", errRefused, to.Host, code)
	}
}
