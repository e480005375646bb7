package relay

import (
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tenma/relay/config"
	"tenma/spool"
)

// disk is a file system with that much room.
type disk struct {
	vfs.FS
	avail, total uint64
	err          error
}

func (d disk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: d.avail, TotalBytes: d.total}, d.err
}

// The mail store leaves the spool's reserve alone.
func TestMinFree(t *testing.T) {
	for _, c := range []struct {
		d    disk
		s    config.Spool
		full bool
	}{
		{disk{avail: 50, total: 1000}, config.Spool{MinFreePercent: 5}, false},
		{disk{avail: 49, total: 1000}, config.Spool{MinFreePercent: 5}, true},
		{disk{avail: 99, total: 1000}, config.Spool{MinFreeBytes: 100}, true},
		{disk{avail: 0, total: 1000}, config.Spool{}, false},
		{disk{err: vfs.ErrUnsupported}, config.Spool{MinFreePercent: 5}, false},
	} {
		if err := minFree(c.d, "/", c.s)(); errors.Is(err, spool.ErrFull) != c.full || err != nil != c.full {
			t.Errorf("%+v, %+v: %v", c.d, c.s, err)
		}
	}
}
