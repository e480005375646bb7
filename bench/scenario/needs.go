package scenario

import (
	"context"
	"time"

	"tenma/bench/load"
	"tenma/bench/peer"
)

// Server is a mail server under comparison, as peer.Server is one.
type Server interface {
	Name() string
	// Settings say how it is set up; known after Prepare.
	Settings() string
	// Prepare empties the server's folder, configures it there and gives its
	// version. Input and Spool are known afterwards.
	Prepare(ctx context.Context) (version string, err error)
	Input() string
	Spool() string
	// Start returns when the server greets, and how long that took.
	Start(ctx context.Context) (time.Duration, error)
	Stop(ctx context.Context) error
	// Kill ends all of its processes as SIGKILL does.
	Kill() error
	// Kick makes it try deferred mail now.
	Kick(ctx context.Context) error
	Usage() (peer.Usage, error)
	// Figures are the server's own metrics by name; none if it has none.
	Figures(ctx context.Context) (map[string]float64, error)
	Processes() ([]int, error)
	// Close kills what is left.
	Close() error
}

// Source sends one load. Its methods are called one after the other.
type Source interface {
	// Send sends the load and waits for arrivals for as long as its words say.
	Send(ctx context.Context) (load.Result, error)
	// Await waits for the arrivals of what Send sent: until all are there, or
	// none has come for idle.
	Await(ctx context.Context, idle time.Duration) (load.Result, error)
	// CPU is what the source has used, in seconds.
	CPU() float64
	Close() error
}

// Sink is where mail arrives. Its methods may be called at any time.
type Sink interface {
	Stats(ctx context.Context) (load.SinkStats, error)
	// Manner changes how the sink behaves, in words; none: it is friendly.
	Manner(ctx context.Context, words []string) error
	// Down closes the sink's listeners, or opens them again.
	Down(ctx context.Context, down bool) error
	// CPU is what the sink has used, in seconds.
	CPU(ctx context.Context) float64
	Close() error
}

// Tools makes sources and sinks. Processes is the one for measurements.
type Tools interface {
	Source(ctx context.Context, words []string) (Source, error)
	// Sink begins to receive before it returns, and answers DNS.
	Sink(ctx context.Context, words []string, n Domains) (Sink, error)
}

// Domains is what a sink answers DNS questions with: every name below "test" has
// an MX host, one of Hosts.
type Domains struct {
	Address string // host:port of the name server, "" for none
	Hosts   int
	Own     bool // the host's name is the domain's own
}
