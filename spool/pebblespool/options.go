package pebblespool

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"tenma/metrics"
)

// Options says where a spool lies and how it behaves. Only Dir is required.
type Options struct {
	Dir string
	FS  vfs.FS // nil: the disk

	// NoSync acknowledges without a sync: a crash of the process loses nothing,
	// one of the kernel or the power does.
	NoSync bool

	// Memory bounds what is kept of fresh mail, in octets, so that its body is
	// not read back (0: 1 GiB; negative: nothing). The oldest goes first.
	Memory int64

	// MemTable is the size of Pebble's memtable in octets; 0: 64 MiB. Two of
	// them are in memory as a rule, and stay there. Mail that is delivered before
	// its memtable is full never reaches a table. DESIGN.md has what larger ones
	// save and cost.
	MemTable int64

	// LogAhead is how many octets of each log are written with zeros before they
	// are needed, in two spare files, after the first start of a spool; 0: none.
	// Then only what Pebble needs no more becomes a spare, for the next start;
	// negative: nothing does. disk.Fence and DESIGN.md have the reasons.
	LogAhead int64

	// The disk reserve. Below the larger of the two, Commit and Stage give
	// ErrFull; settlements and their drafts go on.
	MinFreePercent float64 // of the file system; 0: 5, negative: none
	MinFreeBytes   int64
	// FreeSpace replaces asking the file system, for tests.
	FreeSpace func() (free, total uint64, err error)

	// Horizon: a draft due further away than this is parked from the start
	// instead of being handed to Feed; 0: 15 min. Parked entries wait in the due
	// index only, also after a restart.
	Horizon time.Duration

	// SettleDelay is how long a settlement may wait for others; 0: 10 ms, at
	// most 50 ms (the contract's limit, promise 3).
	SettleDelay time.Duration

	// BeforeSettle is called before each group of settlements is committed, in
	// a goroutine of its own so that it holds up no accept. If it fails, it is
	// called again every second, the settlements wait, and Health is ErrStalled:
	// a disk that is full for an hour costs no restart. Run's end does not wait:
	// then they fail. The relay flushes the mail log here (promise 5).
	BeforeSettle func() error

	// CommitTimeout is how long one group may take until the spool is declared
	// sick; 0: 30 s.
	CommitTimeout time.Duration

	Logger  *slog.Logger   // nil: none
	Metrics *metrics.Spool // nil: none
}

func (o *Options) setDefaults() error {
	if o.Dir == "" {
		return errors.New("pebblespool: no directory")
	}
	def := func(d *time.Duration, to time.Duration) {
		if *d <= 0 {
			*d = to
		}
	}
	def(&o.Horizon, 15*time.Minute)
	def(&o.SettleDelay, 10*time.Millisecond)
	def(&o.CommitTimeout, 30*time.Second)
	if o.SettleDelay > 50*time.Millisecond {
		return fmt.Errorf("pebblespool: SettleDelay %v is over 50ms", o.SettleDelay)
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Memory == 0 {
		o.Memory = 1 << 30
	}
	if o.MemTable == 0 {
		o.MemTable = 64 << 20
	}
	if o.MinFreePercent == 0 {
		o.MinFreePercent = 5
	}
	if o.FreeSpace == nil {
		fs, dir := o.FS, o.Dir
		o.FreeSpace = func() (uint64, uint64, error) {
			u, err := fs.GetDiskUsage(dir)
			return u.AvailBytes, u.TotalBytes, err
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = metrics.New(prometheus.NewRegistry()).Spool
	}
	return nil
}
