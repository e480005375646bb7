package reclaim

import (
	"context"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"tenma/spool"
)

const (
	// every is how much time passes between two looks at the figures, which cost
	// next to nothing.
	every = 10 * time.Second

	// slack is how much room removed mail may take without being looked for: with
	// little mail less than a full disk would notice, and seldom reached at all
	// by mail that is delivered at once.
	slack = 256 << 20
	// slackFull is slack while the disk has no room for new mail.
	slackFull = 4 << 20

	// mergeAtMost is how much mail may be there for all tables to be merged,
	// which writes it once more and keeps the disk busy for some ten seconds.
	mergeAtMost = 2 << 30
)

// Figures is what a Keeper decides by, in octets.
type Figures struct {
	Live    int64  // bodies of the queue
	Removed int64  // bodies removed since the start of the process
	Free    int64  // on the disk
	Full    bool   // and that is too little for new mail
	Tables  uint64 // size of all tables
}

// Keeper gives room back when there is some to be had.
type Keeper struct {
	DB  *pebble.DB
	Log *slog.Logger

	// Figures is false while they are not known.
	Figures func() (Figures, bool)
	// Live calls fn with the id of each body that belongs to mail.
	Live func(fn func(body spool.ID)) error
	// Delete deletes ranges of bodies, all without mail when Live was called; it
	// leaves out those in which there is some now. It need not be done when
	// Delete returns.
	Delete func([]Range)

	looked  bool
	removed int64 // Figures.Removed at the last look
	merge   bool  // the last look left more than it may
}

// Run looks until stop is closed.
func (k *Keeper) Run(stop <-chan struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := k.look(ctx); err != nil && ctx.Err() == nil {
			k.Log.Error("cannot give back the room of removed mail", "error", err)
		}
	}
}

// look gives room back if the figures promise some. What a deletion frees shows
// at the next look, which merges if that was not enough.
func (k *Keeper) look(ctx context.Context) error {
	f, known := k.Figures()
	if !known {
		return nil
	}
	least := max(slack, f.Live/2)
	if f.Full {
		least = slackFull
	}
	gone := int64(f.Tables) - f.Live
	if gone < least {
		k.merge = false
		return nil
	}
	switch {
	case !k.looked || f.Removed-k.removed >= least/2:
		k.looked, k.removed, k.merge = true, f.Removed, true
		return k.Drop()
	case k.merge:
		k.merge = false
		if gone < f.Live || f.Live > mergeAtMost || f.Free < 2*f.Live {
			return nil
		}
		k.Log.Info("merging tables to give back room", "octets", gone)
		return k.DB.Compact(ctx, []byte{0}, []byte{0xff}, false)
	}
	return nil
}

// Drop deletes where no mail is any more, whatever the figures say.
func (k *Keeper) Drop() error {
	t, err := ReadTables(k.DB)
	if err != nil {
		return err
	}
	if err := k.Live(t.Live); err != nil {
		return err
	}
	ranges, size := t.Dead()
	k.Log.Info("giving back the room of removed mail", "octets", size)
	if len(ranges) == 0 {
		return nil
	}
	// What is still in memory about these ranges would have to be written while
	// they are deleted, and commits wait for that.
	if err := k.DB.Flush(); err != nil {
		return err
	}
	k.Delete(ranges)
	return nil
}
