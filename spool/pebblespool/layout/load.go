package layout

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"tenma/spool"
)

// Stored is an entry with its state, and how long its records are.
type Stored struct {
	ID spool.ID
	Entry
	EntryLen int
	State    State
	StateLen int // 0: no record
}

// Get reads a copy of a value, nil if there is none.
func Get(r pebble.Reader, k []byte) ([]byte, error) {
	v, closer, err := r.Get(k)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c := append(make([]byte, 0, len(v)), v...)
	return c, closer.Close()
}

// Load reads an entry, nil if there is none.
func Load(r pebble.Reader, id spool.ID) (*Stored, error) {
	e := &Stored{ID: id}
	k := Key(KindEntry, id)
	b, err := Get(r, k[:])
	if b == nil || err != nil {
		return nil, err
	}
	if err := e.readEntry(b); err != nil {
		return nil, err
	}
	k = Key(KindState, id)
	if b, err = Get(r, k[:]); b == nil || err != nil {
		return e, err
	}
	return e, e.readState(b)
}

func (e *Stored) readEntry(b []byte) (err error) {
	e.EntryLen = len(b)
	if e.Entry, err = ReadEntry(b, e.ID); err != nil {
		return fmt.Errorf("entry %v: %w", e.ID, err)
	}
	return nil
}

func (e *Stored) readState(b []byte) (err error) {
	e.StateLen = len(b)
	if e.State, err = ReadState(b); err != nil {
		return fmt.Errorf("state of %v: %w", e.ID, err)
	}
	return nil
}

// Bounds are the options of an iterator from low up to, and without, high.
func Bounds(low, high []byte) *pebble.IterOptions {
	return &pebble.IterOptions{LowerBound: low, UpperBound: high}
}

// Count counts the records of a kind.
func Count(r pebble.Reader, kind byte) (n int64, err error) {
	it, err := r.NewIter(Bounds([]byte{kind}, []byte{kind + 1}))
	if err != nil {
		return 0, err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	return n, it.Error()
}

// Walker reads envelopes and states side by side, in order of id.
type Walker struct {
	entries, states         *pebble.Iterator
	moreEntries, moreStates bool
}

// NewWalker begins at the first entry that is not before from.
func NewWalker(r pebble.Reader, from spool.ID) (*Walker, error) {
	low := Key(KindEntry, from)
	e, err := r.NewIter(Bounds(low[:], []byte{KindEntry + 1}))
	if err != nil {
		return nil, err
	}
	low = Key(KindState, from)
	s, err := r.NewIter(Bounds(low[:], []byte{KindState + 1}))
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return &Walker{entries: e, states: s, moreEntries: e.First(), moreStates: s.First()}, nil
}

// Close must be called.
func (w *Walker) Close() error { return errors.Join(w.entries.Close(), w.states.Close()) }

// Next gives the next entry, nil at the end.
func (w *Walker) Next() (*Stored, error) {
	if !w.moreEntries {
		return nil, errors.Join(w.entries.Error(), w.states.Error())
	}
	k := w.entries.Key()
	if len(k) != len(idKey{}) {
		return nil, ErrRecord
	}
	e := new(Stored)
	copy(e.ID[:], k[1:])
	v, err := w.entries.ValueAndErr()
	if err != nil {
		return nil, err
	}
	if err := e.readEntry(bytes.Clone(v)); err != nil {
		return nil, err
	}
	for w.moreStates && bytes.Compare(w.states.Key()[1:], e.ID[:]) < 0 {
		w.moreStates = w.states.Next()
	}
	if w.moreStates && bytes.Equal(w.states.Key()[1:], e.ID[:]) {
		if v, err = w.states.ValueAndErr(); err != nil {
			return nil, err
		}
		if err := e.readState(bytes.Clone(v)); err != nil {
			return nil, err
		}
	}
	w.moreEntries = w.entries.Next()
	return e, nil
}
