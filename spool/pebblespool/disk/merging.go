package disk

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// Merging decides when Pebble merges tables: not before Begin, and then as many
// at a time as Pebble itself thinks fit (CompactionConcurrencyRange).
//
// Without it a merge begins while the database is still being opened, as soon as
// the log of the last run was replayed into tables; and Open waits for the end
// of every merge before it looks for files that are needed no more. After a
// backlog that is a second and more in which no mail is taken. It also does
// without the ticker of Pebble's own scheduler: what that looks for ten times a
// second only changes when a table was written, which Pebble tells.
type Merging struct {
	db pebble.DBForCompaction // set before any other call

	turn sync.Mutex // held by whoever hands out grants

	mu      sync.Mutex
	begun   bool
	ended   bool
	running int
	refused bool // TrySchedule was, since grant looked
	pokes   sync.WaitGroup
}

var (
	_ pebble.CompactionScheduler   = (*Merging)(nil)
	_ pebble.CompactionGrantHandle = (*Merging)(nil)
)

// Begin allows merging. It is called when the database is open.
func (m *Merging) Begin() {
	m.mu.Lock()
	m.begun = true
	m.mu.Unlock()
	m.poke()
}

// Register is called by Pebble, first.
func (m *Merging) Register(_ int, db pebble.DBForCompaction) { m.db = db }

// Unregister is called by Pebble, last; when it returns, nothing begins any more.
func (m *Merging) Unregister() {
	m.mu.Lock()
	m.ended = true
	m.mu.Unlock()
	m.pokes.Wait()
	m.turn.Lock() // a grant under way, by Done, has ended
	defer m.turn.Unlock()
}

// TrySchedule asks to run one merge. If it is refused, Pebble waits to be asked.
func (m *Merging) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refused = !m.reserve()
	return !m.refused, m
}

// UpdateGetAllowedWithoutPermission says that more may be allowed than before.
// Pebble holds its lock here, so that it can only be asked by another goroutine.
func (m *Merging) UpdateGetAllowedWithoutPermission() { m.poke() }

// Started is of no interest.
func (m *Merging) Started() {}

// MeasureCPU is of no interest.
func (m *Merging) MeasureCPU(pebble.CompactionGoroutineKind) {}

// CumulativeStats is of no interest.
func (m *Merging) CumulativeStats(pebble.CompactionGrantHandleStats) {}

// Done ends one merge, and another may begin.
func (m *Merging) Done() {
	m.release()
	m.grant()
}

// reserve takes a place for a merge, if one may run. m.mu is held.
func (m *Merging) reserve() bool {
	if !m.begun || m.ended || m.running >= m.db.GetAllowedWithoutPermission() {
		return false
	}
	m.running++
	return true
}

// release gives a place back, and reports whether someone was refused meanwhile.
func (m *Merging) release() (again bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running--
	return m.refused
}

func (m *Merging) poke() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.begun && !m.ended {
		m.pokes.Go(m.grant)
	}
}

// grant begins what waits and may run. The place is taken before Pebble is asked:
// whoever is refused because of it is asked for again.
func (m *Merging) grant() {
	m.turn.Lock()
	defer m.turn.Unlock()
	for {
		m.mu.Lock()
		m.refused = false
		free := m.reserve()
		m.mu.Unlock()
		if !free {
			return
		}
		if waits, _ := m.db.GetWaitingCompaction(); waits && m.db.Schedule(m) {
			continue
		}
		if again := m.release(); !again {
			return
		}
	}
}
