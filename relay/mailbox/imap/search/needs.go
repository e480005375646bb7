package search

import (
	"context"

	"tenma/relay/mailbox"
)

// View is what a search asks of a folder: a *mailbox.View. Nothing must change
// it meanwhile.
type View interface {
	Len() int
	UID(seq int) uint32
	SeqFrom(uid uint32) int
	Recent(seq int) bool
	Flags(seq int) (mailbox.Flags, uint64)
	Keyword(name string) mailbox.Flags
	Each(ctx context.Context, first, last int, fn func(seq int, m *mailbox.Message) bool) error
	Open(seq int) (mailbox.Content, error)
}
