package pebblespool

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"tenma/spool"
)

func bounds(low, high []byte) *pebble.IterOptions {
	return &pebble.IterOptions{LowerBound: low, UpperBound: high}
}

// walker reads envelopes and states side by side, in order of id.
type walker struct {
	entries, states *pebble.Iterator
	moreEntries     bool
	moreStates      bool
}

func newWalker(r pebble.Reader, from spool.ID) (*walker, error) {
	low := keyOf(kindEntry, from)
	e, err := r.NewIter(bounds(low[:], []byte{kindEntry + 1}))
	if err != nil {
		return nil, err
	}
	low = keyOf(kindState, from)
	s, err := r.NewIter(bounds(low[:], []byte{kindState + 1}))
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return &walker{entries: e, states: s, moreEntries: e.First(), moreStates: s.First()}, nil
}

func (w *walker) close() {
	_ = w.entries.Close()
	_ = w.states.Close()
}

// next gives the next entry, nil at the end.
func (w *walker) next() (*live, error) {
	if !w.moreEntries {
		return nil, errors.Join(w.entries.Error(), w.states.Error())
	}
	k := w.entries.Key()
	if len(k) != 1+idLen {
		return nil, errRecord
	}
	l := new(live)
	copy(l.id[:], k[1:])
	v, err := w.entries.ValueAndErr()
	if err != nil {
		return nil, err
	}
	l.entryLen = len(v)
	if l.entry, err = readEntry(bytes.Clone(v), l.id); err != nil {
		return nil, fmt.Errorf("entry %v: %w", l.id, err)
	}
	for w.moreStates && bytes.Compare(w.states.Key()[1:], l.id[:]) < 0 {
		w.moreStates = w.states.Next()
	}
	if w.moreStates && bytes.Equal(w.states.Key()[1:], l.id[:]) {
		if v, err = w.states.ValueAndErr(); err != nil {
			return nil, err
		}
		l.stateLen = len(v)
		if l.st, err = readState(bytes.Clone(v)); err != nil {
			return nil, fmt.Errorf("state of %v: %w", l.id, err)
		}
	}
	w.moreEntries = w.entries.Next()
	return l, nil
}
