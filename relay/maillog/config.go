package maillog

import (
	"log/slog"
	"time"
)

// Config is what a Log is told.
type Config struct {
	Dir         string        // of the segments
	SegmentSize int64         // octets after which a segment is sealed; 0: 64 MiB
	Retain      time.Duration // age at which sealed segments are deleted; 0: 30 days
	NodeID      string        // "nodeid" of each record
	Sync        bool          // Flush ends in fdatasync
	Log         *slog.Logger
}
