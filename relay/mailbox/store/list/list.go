// Package list is a list of the messages of a folder that many sessions share.
//
// A List is a value that never changes: what changes it gives another List,
// which shares with it all chunks that are the same. So each session keeps the
// list as it was last told of it, at the price of a slice header per 256
// messages, and Diff, which tells what has changed since, passes over what is
// shared without looking.
package list

import (
	"slices"
	"sort"
)

// Entry is one message.
type Entry struct {
	UID    uint32
	Size   uint32
	Flags  uint64
	ModSeq uint64
}

// chunkSize is how many entries a chunk has at most: a change of one message
// copies one chunk (6 KiB) and the table of chunks (28 octets each).
const chunkSize = 256

// List is a list of entries, their UIDs rising. The zero List is empty.
type List struct {
	chunks [][]Entry // none is empty; entries once in a List are never changed
	ends   []int     // number of entries up to the end of each chunk
}

// Of makes a list of entries, whose UIDs rise; it owns the slice from then on.
func Of(all []Entry) List {
	var l List
	for len(all) > 0 {
		n := min(chunkSize, len(all))
		l.add(all[:n:n])
		all = all[n:]
	}
	return l
}

func (l *List) add(c []Entry) {
	if len(c) > 0 {
		l.chunks = append(l.chunks, c)
		l.ends = append(l.ends, l.Len()+len(c))
	}
}

// Len is the number of entries.
func (l List) Len() int {
	if len(l.ends) == 0 {
		return 0
	}
	return l.ends[len(l.ends)-1]
}

// At gives the entry with index i, from 0 to before Len.
func (l List) At(i int) Entry {
	c := sort.SearchInts(l.ends, i+1)
	return l.chunks[c][i-l.start(c)]
}

func (l List) start(c int) int {
	if c == 0 {
		return 0
	}
	return l.ends[c-1]
}

// From gives the index of the first entry with at least this UID, Len if none.
func (l List) From(uid uint32) int {
	c := sort.Search(len(l.chunks), func(i int) bool { return l.chunks[i][len(l.chunks[i])-1].UID >= uid })
	if c == len(l.chunks) {
		return l.Len()
	}
	i, _ := slices.BinarySearchFunc(l.chunks[c], uid, byUID)
	return l.start(c) + i
}

func byUID(e Entry, uid uint32) int {
	switch {
	case e.UID < uid:
		return -1
	case e.UID > uid:
		return 1
	}
	return 0
}

// Find gives the entry of a UID.
func (l List) Find(uid uint32) (i int, e Entry, ok bool) {
	i = l.From(uid)
	if i == l.Len() {
		return i, e, false
	}
	e = l.At(i)
	return i, e, e.UID == uid
}

// Range calls fn for the entries from index i to before j until it says false.
func (l List) Range(i, j int, fn func(i int, e Entry) bool) {
	for c := sort.SearchInts(l.ends, i+1); i < j && c < len(l.chunks); c++ {
		for _, e := range l.chunks[c][i-l.start(c):] {
			if i == j || !fn(i, e) {
				return
			}
			i++
		}
	}
}

// Append gives the list with entries behind it. Of all lists that share a last
// chunk only one may be appended to, by one goroutine at a time: the newest
// state of a folder.
func (l List) Append(more ...Entry) List {
	if len(more) == 0 {
		return l
	}
	next := List{slices.Clip(l.chunks), slices.Clip(l.ends)}
	if k := len(next.chunks) - 1; k >= 0 && len(next.chunks[k]) < chunkSize {
		last := next.chunks[k]
		n := min(chunkSize-len(last), len(more))
		next.chunks, next.ends = slices.Clone(next.chunks), slices.Clone(next.ends)
		next.chunks[k] = append(last, more[:n]...)
		next.ends[k] += n
		more = more[n:]
	}
	for len(more) > 0 {
		n := min(chunkSize, len(more))
		next.add(append(make([]Entry, 0, min(chunkSize, 2*n+8)), more[:n]...))
		more = more[n:]
	}
	return next
}

// Set gives the list with other values for entries; they are in order, and each
// is in the list.
func (l List) Set(changed []Entry) List {
	next := List{slices.Clone(l.chunks), l.ends}
	for c := 0; c < len(next.chunks) && len(changed) > 0; c++ {
		chunk := next.chunks[c]
		own := false
		for len(changed) > 0 && changed[0].UID <= chunk[len(chunk)-1].UID {
			if i, ok := slices.BinarySearchFunc(chunk, changed[0].UID, byUID); ok {
				if !own {
					chunk, own = slices.Clone(chunk), true
				}
				chunk[i] = changed[0]
			}
			changed = changed[1:]
		}
		next.chunks[c] = chunk
	}
	return next
}

// Remove gives the list without the entries of these UIDs, which are in order.
func (l List) Remove(uids []uint32) List {
	var next List
	for _, chunk := range l.chunks {
		last := chunk[len(chunk)-1].UID
		if len(uids) == 0 || uids[0] > last {
			next.add(chunk)
			continue
		}
		left := make([]Entry, 0, len(chunk))
		for _, e := range chunk {
			for len(uids) > 0 && uids[0] < e.UID {
				uids = uids[1:]
			}
			if len(uids) == 0 || uids[0] != e.UID {
				left = append(left, e)
			}
		}
		next.merge(left)
	}
	return next
}

// merge is add, into the last chunk if both are small.
func (l *List) merge(c []Entry) {
	k := len(l.chunks) - 1
	if k < 0 || len(l.chunks[k])+len(c) > chunkSize/2 {
		l.add(c)
		return
	}
	l.chunks[k] = slices.Concat(l.chunks[k], c)
	l.ends[k] += len(c)
}

// Until gives the list of those with a UID before this.
func (l List) Until(uid uint32) List {
	n := l.From(uid)
	if n == l.Len() {
		return l
	}
	var next List
	for c := 0; next.Len() < n; c++ {
		k := min(len(l.chunks[c]), n-next.Len())
		next.add(l.chunks[c][:k:k])
	}
	return next
}
