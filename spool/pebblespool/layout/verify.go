package layout

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"tenma/spool"
)

// Verify reads a whole spool and calls bad for everything that does not fit
// together: an entry without its body, a parked entry that is not in the due
// index, an index entry that leads nowhere, a body that nobody owns. It keeps
// about 50 octets in memory for each body. The error is one of reading.
//
// A finding is a fault of the software or of the disk: no crash makes one.
func Verify(r pebble.Reader, bad func(finding string)) error {
	v := verifier{r: r, bad: bad, bodies: map[spool.ID]*owned{}}
	for _, step := range []func() error{v.entries, v.states, v.staged, v.chunks, v.refs, v.due, v.words, v.dedupe} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

type owned struct {
	size   int64
	owners uint64
	stored int64 // octets found
}

type verifier struct {
	r      pebble.Reader
	bad    func(string)
	bodies map[spool.ID]*owned
}

func (v *verifier) finding(format string, args ...any) { v.bad(fmt.Sprintf(format, args...)) }

// each calls fn for the records of a kind.
func (v *verifier) each(kind byte, fn func(k, val []byte) error) error {
	it, err := v.r.NewIter(Bounds([]byte{kind}, []byte{kind + 1}))
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		val, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if err := fn(it.Key(), val); err != nil {
			return err
		}
	}
	return it.Error()
}

func (v *verifier) has(k []byte) (bool, error) {
	val, err := Get(v.r, k)
	return val != nil, err
}

func idOf(k []byte) (id spool.ID) {
	copy(id[:], k[len(k)-min(len(k), IDLen):])
	return id
}

func (v *verifier) entries() error {
	w, err := NewWalker(v.r, spool.ID{})
	if err != nil {
		return err
	}
	defer w.Close()
	for {
		e, err := w.Next()
		if e == nil || err != nil {
			return err
		}
		o := v.bodies[e.Body]
		if o == nil {
			o = &owned{size: e.Size}
			v.bodies[e.Body] = o
		}
		o.owners++
		if o.size != e.Size {
			v.finding("entry %v says that its body has %d octets, another of the same body says %d", e.ID, e.Size, o.size)
		}
		if e.State.Parked {
			k := DueKey(Seconds(e.State.Due), e.ID)
			if in, err := v.has(k[:]); err != nil {
				return err
			} else if !in {
				v.finding("entry %v is parked and not in the due index", e.ID)
			}
		}
		k := Key(KindWords, e.ID)
		if in, err := v.has(k[:]); err != nil {
			return err
		} else if in != e.State.Words {
			v.finding("entry %v and its words differ", e.ID)
		}
	}
}

func (v *verifier) states() error {
	return v.each(KindState, func(k, _ []byte) error {
		e := Key(KindEntry, idOf(k))
		in, err := v.has(e[:])
		if !in {
			v.finding("state of %v without an entry", idOf(k))
		}
		return err
	})
}

func (v *verifier) staged() error {
	return v.each(KindStaged, func(k, val []byte) error {
		if v.bodies[idOf(k)] != nil {
			v.finding("body %v is both staged and owned", idOf(k))
			return nil
		}
		v.bodies[idOf(k)] = &owned{size: -1}
		return nil
	})
}

func (v *verifier) chunks() error {
	err := v.each(KindBody, func(k, val []byte) error {
		var id spool.ID
		copy(id[:], k[1:])
		o := v.bodies[id]
		if o == nil {
			v.finding("body %v belongs to no entry", id)
			return nil
		}
		n := int(binary.BigEndian.Uint32(k[1+IDLen:]))
		if o.size >= 0 && (n >= Chunks(o.size) || len(val) != ChunkLen(o.size, n)) {
			v.finding("body %v: chunk %d of %d octets", id, n, len(val))
		}
		o.stored += int64(len(val))
		return nil
	})
	for id, o := range v.bodies {
		if o.size >= 0 && o.stored != o.size {
			v.finding("body %v has %d of %d octets", id, o.stored, o.size)
		}
	}
	return err
}

func (v *verifier) refs() error {
	counted := map[spool.ID]bool{}
	err := v.each(KindRefs, func(k, val []byte) error {
		id := idOf(k)
		counted[id] = true
		n, _ := binary.Uvarint(val)
		if o := v.bodies[id]; o == nil || o.owners != n {
			v.finding("body %v counts %d owners", id, n)
		}
		return nil
	})
	for id, o := range v.bodies {
		if o.owners > 1 && !counted[id] {
			v.finding("body %v has %d owners and no count", id, o.owners)
		}
	}
	return err
}

func (v *verifier) due() error {
	return v.each(KindDue, func(k, val []byte) error {
		p, ok := PlaceOf(k)
		if !ok || len(val) != DueLen {
			v.finding("due index entry %x", k)
			return nil
		}
		e, err := Load(v.r, p.ID)
		if err == nil && (e == nil || !e.State.Parked || Seconds(e.State.Due) != p.Due) {
			v.finding("due index leads to %v, which is not parked until then", p.ID)
		}
		return err
	})
}

func (v *verifier) words() error {
	err := v.each(KindWords, func(k, val []byte) error {
		words, err := ReadWords(val)
		for _, w := range words {
			it, err := v.r.NewIter(Bounds(FindKey(w, idOf(k)), nil))
			if err != nil {
				return err
			}
			if !it.First() || !bytes.Equal(it.Key(), FindKey(w, idOf(k))) {
				v.finding("entry %v is not to be found by %q", idOf(k), w)
			}
			if err := it.Close(); err != nil {
				return err
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	return v.each(KindFind, func(k, _ []byte) error {
		id := idOf(k)
		n := Key(KindWords, id)
		val, err := Get(v.r, n[:])
		if err != nil {
			return err
		}
		words, err := ReadWords(val)
		if !slices.ContainsFunc(words, func(w string) bool { return bytes.Equal(FindKey(w, id), k) }) {
			v.finding("index leads to %v, which does not have the word", id)
		}
		return err
	})
}

func (v *verifier) dedupe() error {
	return v.each(KindDedupe, func(k, val []byte) error {
		d, err := ReadDedupe(val)
		if err != nil {
			return err
		}
		var h Hash
		copy(h[:], k[1:])
		x := ExpiryKey(d.Expiry, h)
		it, err := v.r.NewIter(Bounds(x[:], Next(x[:])))
		if err != nil {
			return err
		}
		if !it.First() {
			v.finding("dedupe key of %v never expires", d.First)
		}
		return it.Close()
	})
}
