package mailbox

import "log/slog"

// Config is what a Store is told.
type Config struct {
	Dir string // Maildirs are DIR/DOMAIN/LOCAL
	Log *slog.Logger
}
