package admin

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"

	"github.com/prometheus/client_golang/prometheus"

	"tenma/relay/admin/setup"
	"tenma/relay/admin/unsubscribe"
	"tenma/relay/queue"
	"tenma/spool"
)

// Config is what a Server is told. Package relay/config fills it.
type Config struct {
	Listeners []Listener
	// TokenPath is the file with the bearer token. It is made with mode 0600 by
	// the first Listen; its directory must exist.
	TokenPath string
}

// Listener is one [[listen]] of protocol http.
type Listener struct {
	Address string // host:port
	TLS     bool   // TLS from the first octet
	// SetupOnly serves nothing but Deps.Setup and Deps.Unsubscribe: such a listener
	// may face the internet, where mail programs and readers look for these.
	SetupOnly bool
}

// Deps are what a Server works with.
type Deps struct {
	Queue        Queue
	Mailboxes    Mailboxes    // nil: there are none
	Suppressions Suppressions // nil: there is no list
	Health       func() error // nil error: alive, with storage that works; nil func: always
	Ready        func() error // nil error: takes mail now; nil func: always
	// Explain tells how mail for a domain or address would go, mail of a tenant if
	// that is not ""; its error says that the texts are none. nil: nobody does.
	Explain func(ctx context.Context, target, tenant string) (Explanation, error)
	Setup   *setup.Handler // tells mail programs their settings, without a token; nil: nobody does
	// Unsubscribe serves links in messages, without a token; nil: nobody does.
	Unsubscribe *unsubscribe.Handler
	Gatherer    prometheus.Gatherer
	TLS         *tls.Config // for listeners with TLS
	Version     string      // shown on the page and in the API document
	Log         *slog.Logger
	Random      io.Reader                                           // of the token; nil: crypto/rand
	Listen      func(network, address string) (net.Listener, error) // nil: net.Listen
}

// Queue is what an operator can do with queued mail. The verbs give the number
// of messages that they touched.
type Queue interface {
	Summary(ctx context.Context) (queue.Summary, error)
	List(ctx context.Context, f queue.Filter) ([]queue.Message, error)
	// Show gives one message; its error wraps spool.ErrNotFound when there is none.
	Show(ctx context.Context, id spool.ID) (queue.Message, error)
	Retry(ctx context.Context, f queue.Filter) (int, error)   // due now
	Delete(ctx context.Context, f queue.Filter) (int, error)  // gone, without a DSN
	Hold(ctx context.Context, f queue.Filter) (int, error)    // kept, not tried
	Release(ctx context.Context, f queue.Filter) (int, error) // undoes Hold
}
