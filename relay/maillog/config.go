package maillog

import (
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tenma/metrics"
)

// Config is what a Log is told.
type Config struct {
	Dir         string        // of the segments
	SegmentSize int64         // octets after which a segment is sealed; 0: 64 MiB
	SegmentAge  time.Duration // age at which it is sealed even so; 0: 24 h
	Retain      time.Duration // age at which sealed segments are deleted; 0: 30 days
	NodeID      string        // "nodeid" of each record
	Sync        bool          // Flush ends in fdatasync

	// Buffer is how many octets of records are kept while they cannot be
	// written; 0: 16 MiB, some 16,000 to 25,000 records. Beyond it events that
	// decide no recipient's fate are dropped; beyond four times that, all are
	// (ErrLost).
	Buffer int64

	FS      vfs.FS           // nil: the machine's
	Metrics *metrics.Maillog // nil: counted for nobody
	Log     *slog.Logger     // nil: silent
}

// Defaults and times that are no setting.
const (
	defaultSegmentSize = 64 << 20
	defaultSegmentAge  = 24 * time.Hour
	defaultRetain      = 30 * 24 * time.Hour
	defaultBuffer      = 16 << 20

	// writeDelay is how long a record may wait for company when nobody asks
	// for a Flush: short for who follows the file, long against a system call.
	writeDelay = 200 * time.Millisecond
	// retryDelay is the pause after a failed write.
	retryDelay = time.Second
	// wakeOctets waiting end writeDelay early.
	wakeOctets = 256 << 10
	// sealRetry is the pause after a segment could not be sealed, and the
	// longest time between two looks for segments past their age.
	sealRetry = time.Hour
)

func (c Config) withDefaults() Config {
	set := func(v *int64, to int64) {
		if *v <= 0 {
			*v = to
		}
	}
	set(&c.SegmentSize, defaultSegmentSize)
	set((*int64)(&c.SegmentAge), int64(defaultSegmentAge))
	set((*int64)(&c.Retain), int64(defaultRetain))
	set(&c.Buffer, defaultBuffer)
	if c.FS == nil {
		c.FS = vfs.Default
	}
	if c.Metrics == nil {
		c.Metrics = metrics.NewMaillog(nil)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}
