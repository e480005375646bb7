package disk

import (
	"context"
	"fmt"
	"log/slog"
)

// Log gives Pebble's messages to slog. Its ordinary talk (each flush,
// each compaction) is for debugging.
type Log struct {
	To    *slog.Logger
	Fence *Fence
}

func (l Log) Infof(format string, args ...any) {
	if l.To.Enabled(context.Background(), slog.LevelDebug) {
		l.To.Debug("pebble: " + fmt.Sprintf(format, args...))
	}
}

func (l Log) Errorf(format string, args ...any) {
	l.To.Error("pebble: " + fmt.Sprintf(format, args...))
}

// Fatalf must not return: Pebble goes on as if nothing had happened and
// acknowledges what it lost. Errors of the disk do not come this far (fence);
// what does is a damaged database.
func (l Log) Fatalf(format string, args ...any) {
	l.Fence.Fail("pebble", "", fmt.Errorf(format, args...))
	select {}
}
