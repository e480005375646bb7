package reclaim

import (
	"bytes"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"tenma/spool"
	"tenma/spool/pebblespool/layout"
)

// Range is the keys from Start up to, and without, End.
type Range struct{ Start, End []byte }

// Tables is where the tables of bodies begin and end, and where between these
// places there is mail.
type Tables struct {
	points [][]byte // sorted; each table begins and ends at one
	alive  []bool   // there is a body between points[i] and the next
	tables []table
}

// table reaches from points[from] up to points[to].
type table struct {
	from, to int
	size     int64
}

// staged is the first octets of the ids of staged bodies. Those are written
// without the committer, and removed with their true size, which Pebble heeds.
const staged = 0xff

// ReadTables reads how the tables of bodies lie at the moment.
func ReadTables(db *pebble.DB) (*Tables, error) {
	levels, err := db.SSTables()
	if err != nil {
		return nil, err
	}
	var all []pebble.SSTableInfo
	for _, l := range levels {
		for _, t := range l {
			low, high := t.Smallest.UserKey, t.Largest.UserKey
			if low[0] == layout.KindBody && high[0] == layout.KindBody && len(high) > 1 && high[1] != staged {
				all = append(all, t)
			}
		}
	}
	t := new(Tables)
	for _, i := range all {
		t.points = append(t.points, i.Smallest.UserKey, end(i))
	}
	slices.SortFunc(t.points, bytes.Compare)
	t.points = slices.CompactFunc(t.points, bytes.Equal)
	t.alive = make([]bool, len(t.points))
	for _, i := range all {
		t.tables = append(t.tables, table{t.place(i.Smallest.UserKey), t.place(end(i)), int64(i.Size)})
	}
	return t, nil
}

// end is the first key behind a table.
func end(t pebble.SSTableInfo) []byte {
	if t.Largest.IsExclusiveSentinel() {
		return t.Largest.UserKey
	}
	return append(slices.Clip(t.Largest.UserKey), 0)
}

// place is the last point that is not behind key; -1 if all are.
func (t *Tables) place(key []byte) int {
	i, found := slices.BinarySearchFunc(t.points, key, bytes.Compare)
	if found {
		return i
	}
	return i - 1
}

// Live notes that there is mail whose body has this id.
func (t *Tables) Live(body spool.ID) {
	k := layout.Key(layout.KindBody, body)
	if i := t.place(append(k[:], 0, 0, 0, 0)); i >= 0 {
		t.alive[i] = true
	}
}

// Dead gives the ranges of keys in which there is no mail and at least one whole
// table, by key, and how many octets these tables have.
func (t *Tables) Dead() (ranges []Range, size int64) {
	covered := make([]bool, len(t.points))
	living := make([]int, len(t.points)+1) // how many places before this one are alive
	for i, alive := range t.alive {
		living[i+1] = living[i]
		if alive {
			living[i+1]++
		}
	}
	for _, b := range t.tables {
		if living[b.to] > living[b.from] {
			continue
		}
		size += b.size
		for i := b.from; i < b.to; i++ {
			covered[i] = true
		}
	}
	for i := 0; i < len(covered); i++ {
		if !covered[i] {
			continue
		}
		first := i
		for covered[i] { // the last point ends a table and begins none
			i++
		}
		ranges = append(ranges, Range{t.points[first], t.points[i]})
	}
	return ranges, size
}
