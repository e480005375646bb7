package disk

import (
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
)

// Pebble gives the options of a database behind f whose records mostly live for
// seconds. bubble leaves out Pebble's ticker, as a testing/synctest bubble needs.
func Pebble(f *Fence, memTable int64, bubble bool, log *slog.Logger) *pebble.Options {
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
		LBaseMaxBytes:      max(64<<20, memTable),
		// A flush writes few, large tables.
		FlushSplitBytes:            32 << 20,
		L0CompactionThreshold:      4,
		L0StopWritesThreshold:      40,
		CompactionConcurrencyRange: func() (int, int) { return 1, 2 },
		MaxOpenFiles:               1000,
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
	if bubble {
		p.Experimental.CompactionScheduler = pebble.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest()
	}
	return p
}
