package mailbox

import (
	"log/slog"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tenma/metrics"
	"tenma/relay/wire/smtp"
)

// Config is what a Store is told.
type Config struct {
	Dir      string // Maildirs are DIR/DOMAIN/LOCAL
	Hostname string // the right end of file names; "": localhost
	Log      *slog.Logger
}

// Deps are what a Store works with.
type Deps struct {
	Resolver Resolver
	FS       vfs.FS           // nil: the machine's
	Metrics  *metrics.Mailbox // nil: counted for nobody
}

// Resolver knows the accounts and aliases here.
type Resolver interface {
	// Resolve gives the mailboxes that mail for a goes into, a itself if it is
	// one. Nothing means that there is no such address.
	Resolve(a smtp.Address) []smtp.Address
}
