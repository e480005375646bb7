package relay

import (
	"context"
	"testing"
	"time"

	"tenma/relay/config"
	"tenma/spool"
)

// shelf is a spool with some entries, by age.
type shelf struct {
	spool.Engine
	ids []spool.ID
}

func (shelf) Stats() spool.Stats {
	return spool.Stats{DiskBytes: 1, Written: 2, TableBytes: 3, CacheBytes: 4, Rebuilding: true}
}

func (s shelf) Scan(_ context.Context, _ spool.ID, fn func(spool.Entry) bool) error {
	for _, id := range s.ids {
		if !fn(spool.Entry{ID: id}) {
			break
		}
	}
	return nil
}

func TestViews(t *testing.T) {
	at := time.UnixMilli(1e12)
	v := views(shelf{ids: []spool.ID{spool.NewID(at, [10]byte{}), spool.NewID(at.Add(time.Hour), [10]byte{})}}, config.Spool{Dir: t.TempDir(), MinFreeBytes: 1 << 60, MinFreePercent: 5})
	if got := v.Oldest(); !got.Equal(at) {
		t.Errorf("the oldest is of %v", got)
	}
	if got := v.Reserve(); got != 1<<60 {
		t.Errorf("the reserve is %v", got)
	}
	for i, get := range []func() float64{v.SpoolDisk, v.SpoolWritten, v.SpoolTables, v.SpoolCache} {
		if got := get(); got != float64(i+1) {
			t.Errorf("figure %d of the spool is %v", i+1, got)
		}
	}
	if v.Rebuilding() != 1 {
		t.Error("a spool that reads its entries does not show it")
	}
	if got := views(shelf{}, config.Spool{}).Oldest(); !got.IsZero() {
		t.Errorf("the oldest of none is of %v", got)
	}
}
