package rotation

import (
	"context"

	"tenma/dnscache"
)

// Resolver finds records. An error that wraps dnscache.ErrNotFound or ErrNoData
// says that there is none; any other says nothing.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) (dnscache.Answer[string], error)
}

// Store keeps one text over restarts and crashes. Load gives nothing where
// nothing was saved.
type Store interface {
	Load() ([]byte, error)
	Save(text []byte) error
}
