package queue

import (
	"log/slog"

	"tenma/metrics"
	"tenma/relay/mail"
	"tenma/relay/queue/fate"
	"tenma/relay/queue/settings"
	"tenma/spool"
)

// Config is what a Queue is told.
type Config = settings.Config

// Deps are what a Queue works with.
type Deps struct {
	Spool    spool.Engine
	Router   Router
	Remote   mail.Deliver    // ByMX, ByHost
	Local    mail.Deliver    // Local
	Signer   Signer          // nil: nothing is signed
	Returner Returner        // nil: no DSNs
	Classify fate.Classifier // nil: no diagnoses, and no wait is known that a remote states
	Record   Recorder
	Metrics  *metrics.Queue // nil: not counted
	Log      *slog.Logger   // nil: slog.Default
	Seed     uint64         // of the jitter
}
