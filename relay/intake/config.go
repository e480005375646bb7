package intake

import (
	"io"
	"log/slog"

	"tenma/metrics"
	"tenma/relay/mail"
	"tenma/spool"
)

// Config is what a Server is told.
type Config struct {
	Hostname string // "by" of the Received field
	MaxHops  int    // Received fields in a message; more is a loop (RFC 5321 section 6.3); 0: 100
}

// Deps are what a Server works with.
type Deps struct {
	Spool   spool.Engine
	Record  Recorder
	Metrics *metrics.Intake
	Log     *slog.Logger
	Random  io.Reader // for ids
}

// Recorder takes events for the mail log (Reception).
type Recorder interface{ Record(*mail.Event) }
