package source

import (
	"context"

	"tenma/bench/load"
)

// Sink is where the load arrives. load.Control is one behind HTTP; a sink in
// the same process is another.
type Sink interface {
	// Reset starts counting a run from nothing.
	Reset(ctx context.Context, run string) error
	// Stats gives the counts.
	Stats(ctx context.Context) (load.SinkStats, error)
	// Arrivals gives every message of the run that arrived, in any order.
	Arrivals(ctx context.Context, run string) ([]load.Arrival, error)
}
