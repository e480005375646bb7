package queue

import (
	"log/slog"
	"time"

	"tenma/metrics"
	"tenma/relay/mail"
	"tenma/spool"
)

// Config is what a Queue is told.
type Config struct {
	Shards          int             // 0: one per processor
	Retry           []time.Duration // waits after the 1st, 2nd ... failed attempt; the last repeats
	Jitter          float64         // each wait is spread by this part both ways; 0: 0.1
	Expire          time.Duration   // of a message, since it was received
	DelayNotice     time.Duration   // a delay DSN after this; 0: none
	Horizon         time.Duration   // items due later leave memory; 0: 15 min
	LaneConnections int             // attempts that run at a time in a lane; 0: 10
	LaneReady       int             // messages of a lane held ready for an attempt; 0: 1024
}

// Deps are what a Queue works with.
type Deps struct {
	Spool    spool.Engine
	Router   Router
	Remote   mail.Deliver // ByMX, ByHost
	Local    mail.Deliver // Local
	Signer   Signer       // nil: nothing is signed
	Returner Returner
	Record   Recorder
	Metrics  *metrics.Queue
	Log      *slog.Logger
	Seed     uint64 // of the jitter
}
