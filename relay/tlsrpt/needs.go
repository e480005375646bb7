package tlsrpt

import (
	"context"
	"io"
	"net/http"

	"tenma/dnscache"
	"tenma/relay/mail"
)

// Resolver finds out whether a domain wants reports.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) (dnscache.Answer[string], error)
}

// Outbox takes reports that go by mail. nil means that the message is on stable
// storage, now or since an earlier Send with the same key.
type Outbox interface {
	Send(ctx context.Context, key string, e *mail.Envelope, body io.WriterTo) error
}

// Client takes reports that go by HTTPS. It goes to public addresses only, follows
// no redirect, and bounds its time.
type Client interface {
	Do(*http.Request) (*http.Response, error)
}

// Keeper keeps what was counted over a restart.
type Keeper interface {
	Load() ([]byte, error) // what was saved last, nothing if nothing was
	Save(text []byte) error
}
