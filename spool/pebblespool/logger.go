package pebblespool

import (
	"context"
	"fmt"
	"log/slog"
)

// pebbleLog gives Pebble's messages to slog. Its ordinary talk (each flush,
// each compaction) is for debugging.
type pebbleLog struct {
	log   *slog.Logger
	fence *fence
}

func (l pebbleLog) Infof(format string, args ...any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("pebble: " + fmt.Sprintf(format, args...))
	}
}

func (l pebbleLog) Errorf(format string, args ...any) {
	l.log.Error("pebble: " + fmt.Sprintf(format, args...))
}

// Fatalf must not return: Pebble goes on as if nothing had happened and
// acknowledges what it lost. Errors of the disk do not come this far (fence);
// what does is a damaged database.
func (l pebbleLog) Fatalf(format string, args ...any) {
	l.fence.fail("pebble", "", fmt.Errorf(format, args...))
	select {}
}
