package bounce

import (
	"context"
	"log/slog"

	"tenma/metrics"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// Config is what a Composer is told.
type Config struct {
	Hostname      string       // Reporting-MTA, and the right side of Message-IDs
	From          smtp.Address // header From; zero: MAILER-DAEMON at Hostname
	Postmaster    smtp.Address // named as the one to ask for help; zero: nobody is
	ReturnFull    int64        // octets of a message that RET=FULL may return, else its header; 0: 1 MiB
	ReturnHeaders int64        // octets of a returned header, cut at a line's end; 0: 64 KiB
	// PerSender is how many DSNs one address gets within an hour, 0: any number.
	// What comes in from clients that may not relay has a tenth of it for each
	// domain (limit.go).
	PerSender int
}

const (
	defaultReturnFull    = 1 << 20
	defaultReturnHeaders = 64 << 10
)

// Deps are what a Composer works with.
type Deps struct {
	Stager  Stager
	Metrics *metrics.Bounce // nil: counted for nobody
	Log     *slog.Logger    // nil: silent
}

// Stager takes bodies larger than spool.MaxInline; every spool.Engine is one.
type Stager interface {
	Stage(ctx context.Context) (spool.StageWriter, error)
}
