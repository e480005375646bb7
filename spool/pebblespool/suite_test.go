package pebblespool_test

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tenma/spool/pebblespool"
	"tenma/spool/spooltest"
)

// TestSuite runs the contract with all in memory, and again with nothing kept
// in memory and memtables so small that mail reaches tables.
func TestSuite(t *testing.T) {
	for name, o := range map[string]pebblespool.Options{
		"cached": {},
		"bare":   {Memory: -1, MemTable: 256 << 10},
		"tight":  {Memory: 4000},
	} {
		t.Run(name, func(t *testing.T) {
			spooltest.Run(t, func(*testing.T) spooltest.Store {
				o := o
				o.Dir, o.FS = "spool", vfs.NewMem()
				return func() (spooltest.Engine, error) { return pebblespool.Open(o) }
			})
		})
	}
}
