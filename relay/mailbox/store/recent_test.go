package store

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A session that looks on for months, message by message, remembers no more than one
// that came at the end.
func TestRecentOfLongSessions(t *testing.T) {
	r := start(t, vfs.NewMem(), Options{})
	m := r.box(t, ann)
	v := view(t, m, "INBOX")
	for i := range 20 {
		put(t, m, "INBOX", textOf(i))
		if u := v.Update(true); u.Recent != i+1 {
			t.Errorf("%d recent after %d", u.Recent, i+1)
		}
	}
	if len(v.recent) != 1 {
		t.Errorf("%d spans", len(v.recent))
	}
}
