package disk

import (
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
)

// Pebble gives the options of a database behind f whose records mostly live for
// seconds. Its tables are merged as m has it.
func Pebble(f *Fence, memTable int64, m *Merging, log *slog.Logger) *pebble.Options {
	p := &pebble.Options{
		FS:           f,
		Logger:       Log{To: log, Fence: f},
		CacheSize:    32 << 20,
		MemTableSize: uint64(memTable),
		// One memtable fills while another is flushed; a third is the margin
		// before commits stall.
		MemTableStopWritesThreshold: 3,
		// Set explicitly: a later Pebble must not raise it by itself, since
		// that bars the way back to an earlier version of the relay.
		FormatMajorVersion: pebble.FormatValueSeparation,
		// Ids rise, so a full table goes down a level without being merged; more
		// levels would only be more to merge. Lasts up to 64 GiB of mail.
		LBaseMaxBytes: 64 << 30,
		// A flush writes few, large tables.
		FlushSplitBytes: 32 << 20,
		// Counts each layer twice. Less, and a small backlog is written once more as
		// soon as a second layer lies on it (DESIGN.md, The room of removed mail).
		L0CompactionThreshold: 8,
		L0StopWritesThreshold: 40,
		// The tables of rising ids lie side by side and cost no read more for being
		// many; by default 500 of them (1 GiB) would be merged for their number.
		L0CompactionFileThreshold:  10_000,
		CompactionConcurrencyRange: func() (int, int) { return 1, 2 },
		MaxOpenFiles:               1000,
	}
	// No table holds two kinds of record (the first octet of a key): one with the
	// last bodies and the first envelopes would overlap all bodies that come
	// later, and be merged with them.
	p.Experimental.SpanPolicyFunc = func(start []byte) (pebble.SpanPolicy, []byte, error) {
		return pebble.SpanPolicy{}, []byte{start[0] + 1}, nil
	}
	// Most ids that are looked up do not exist (is this draft new?), and the
	// filter answers that without a read.
	for i := range p.Levels {
		p.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	p.EventListener = &pebble.EventListener{
		BackgroundError: func(err error) { log.Error("pebble: background error", "error", err) },
		WriteStallBegin: func(i pebble.WriteStallBeginInfo) { log.Warn("pebble: writes stall", "reason", i.Reason) },
		WriteStallEnd:   func() { log.Info("pebble: writes go on") },
	}
	p.Experimental.CompactionScheduler = m
	return p
}
