//go:build interop

package main

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
)

// letter is one message in one folder, as the clients of TestInteropMailboxKill
// have seen it. A copy is a letter of its own, with the same id.
type letter struct {
	account, folder, id string
	uid                 uint32
	flags               string // sorted
}

// deed is a change that a client has asked for: after a kill all of it is there,
// or nothing.
type deed struct {
	what  string    // the command
	of    []*letter // what it is about; of an APPEND, what is to come
	into  string    // where copies of them go; "": nowhere
	leave bool      // they leave their folder
	flags []string  // what theirs will be; nil: what they are
	ids   []string  // claimed
	floor uint32    // the highest UID where it goes when it was asked for
}

// arriving is a message that was handed in for an account and not seen yet.
type arriving struct {
	id   string
	sure bool // its 250 was heard, or somebody else has it
	// The highest UID of INBOX when it was handed in.
	floor  uint32
	broken bool // the relay was killed before its 250
}

type place struct{ account, folder string }

// journal is what the clients were told, and what they have asked and not
// heard. Each id of an account is in the hands of one client at a time.
type journal struct {
	mu       sync.Mutex
	letters  map[*letter]bool
	coming   map[string]map[string]*arriving // by account and id
	claimed  map[string]bool                 // account and id
	deeds    map[*deed]bool                  // asked and not answered
	uids     map[place]map[uint32]string     // every UID that was ever seen: whose it is
	highest  map[place]uint32                // UID; what comes gets a higher one
	validity map[place]uint32
	modSeq   map[place]uint64
	judged   map[string]uint32 // UIDNEXT of INBOX
	serial   int
	faults   []string
	done     map[string]int // acknowledged, by command
	open     map[string]int // in flight at a kill, by command
	took     map[string]int // of those, what had happened
}

func newJournal() *journal {
	return &journal{
		letters: map[*letter]bool{}, coming: map[string]map[string]*arriving{}, claimed: map[string]bool{}, deeds: map[*deed]bool{},
		uids: map[place]map[uint32]string{}, highest: map[place]uint32{}, validity: map[place]uint32{}, modSeq: map[place]uint64{}, judged: map[string]uint32{},
		done: map[string]int{}, open: map[string]int{}, took: map[string]int{},
	}
}

// fault notes what must not be. mu is held.
func (j *journal) fault(format string, args ...any) {
	j.faults = append(j.faults, fmt.Sprintf(format, args...))
}

// rarest is how often the command was acknowledged that was so least.
func (j *journal) rarest() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	least := math.MaxInt
	for _, what := range []string{"SMTP", "LMTP", "APPEND", "STORE", "COPY", "MOVE", "EXPUNGE", "QUIT"} {
		least = min(least, j.done[what])
	}
	return least
}

// newID names a message.
func (j *journal) newID() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.serial++
	return fmt.Sprintf("kill-%06d", j.serial)
}

// expect notes that a message is handed in for some accounts.
func (j *journal) expect(id string, accounts ...string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, a := range accounts {
		if j.coming[a] == nil {
			j.coming[a] = map[string]*arriving{}
		}
		j.coming[a][id] = &arriving{id: id, floor: j.highest[place{a, "INBOX"}]}
	}
}

// accepted notes its 250.
func (j *journal) accepted(id, how string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, of := range j.coming {
		if in := of[id]; in != nil {
			in.sure = true
		}
	}
	j.done[how]++
}

// named notes that a UID is that of a message. New ones are higher than floor,
// which was the highest before they can have come. mu is held.
func (j *journal) named(at place, uid uint32, id string, floor uint32) {
	if j.uids[at] == nil {
		j.uids[at] = map[uint32]string{}
	}
	switch before, known := j.uids[at][uid]; {
	case known && before != id:
		j.fault("%v: UID %d was that of %s and is now that of %s", at, uid, before, id)
	case !known && uid <= floor:
		j.fault("%v: %s came after UID %d and has %d", at, id, floor, uid)
	}
	j.uids[at][uid] = id
	j.highest[at] = max(j.highest[at], uid)
}

// seen notes that a delivered message lies in INBOX. A session has seen it, so it
// is there to stay.
func (j *journal) seen(account string, uid uint32, id string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if in := j.coming[account][id]; in != nil && j.uids[place{account, "INBOX"}][uid] == "" {
		j.arrived(account, uid, id, in)
	} // else it is not the first to see it, or no delivery: left to the verdict
}

// arrived makes a letter of a message that came in. mu is held.
func (j *journal) arrived(account string, uid uint32, id string, in *arriving) {
	delete(j.coming[account], id)
	if in.broken {
		j.took["delivery"]++
	}
	for _, of := range j.coming { // one commit brings it to all
		if other := of[id]; other != nil {
			other.sure = true
		}
	}
	j.named(place{account, "INBOX"}, uid, id, in.floor)
	j.letters[&letter{account: account, folder: "INBOX", id: id, uid: uid}] = true
}

// news is the first UID of INBOX that was not there when it was last judged.
func (j *journal) news(account string) uint32 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return max(1, j.judged[account])
}

// full says whether an account has enough mail: every round reads all of it.
func (j *journal) full(account string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, in := range j.coming[account] {
		if in.sure { // others may never come
			n++
		}
	}
	for l := range j.letters {
		if l.account == account {
			n++
		}
	}
	return n > 100
}

// pick takes up to n letters of a folder that nobody else works on and that want
// likes, for a deed that is then begun.
func (j *journal) pick(account, folder string, n int, want func(*letter) bool) *deed {
	j.mu.Lock()
	defer j.mu.Unlock()
	d := &deed{}
	for l := range j.letters { // in any order
		if len(d.of) == n {
			break
		}
		key := account + " " + l.id
		if l.account == account && l.folder == folder && !j.claimed[key] && want(l) {
			j.claimed[key] = true
			d.of, d.ids = append(d.of, l), append(d.ids, key)
		}
	}
	slices.SortFunc(d.of, func(a, b *letter) int { return int(a.uid) - int(b.uid) })
	return d
}

// release gives back what pick took.
func (j *journal) release(d *deed) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, key := range d.ids {
		delete(j.claimed, key)
	}
}

// begin notes that a deed is being asked for.
func (j *journal) begin(d *deed) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.deeds[d] = true
	d.floor = j.highest[place{d.of[0].account, d.into}]
}

// answered notes that the deed is done. uids are those of the copies.
func (j *journal) answered(d *deed, uids []uint32) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.done[d.what]++
	if d.into != "" && len(uids) != len(d.of) {
		j.fault("%s of %d messages of %s gave %d UIDs", d.what, len(d.of), d.of[0].account, len(uids))
		uids = make([]uint32, len(d.of))
	}
	j.apply(d, uids)
}

// apply makes the journal what it is after the deed. mu is held.
func (j *journal) apply(d *deed, uids []uint32) {
	delete(j.deeds, d)
	for i, l := range d.of {
		if d.flags != nil {
			l.flags = d.flags[i]
		}
		if d.into != "" {
			n := &letter{account: l.account, folder: d.into, id: l.id, uid: uids[i], flags: l.flags}
			j.named(place{l.account, d.into}, uids[i], l.id, d.floor)
			j.letters[n] = true
		}
		if d.leave {
			delete(j.letters, l)
		}
	}
	for _, key := range d.ids {
		delete(j.claimed, key)
	}
}

// found is a message as a client finds it after a kill.
type found struct {
	id    string
	uid   uint32
	flags string
	size  int64
	whole bool // the octets are those that were sent
}

// folderState is a folder as STATUS and FETCH tell of it.
type folderState struct {
	validity, next uint32
	modSeq         uint64
	messages, size int64
	mail           map[uint32]*found
}

// missing are the messages that were acknowledged and are in nobody's INBOX yet.
func (j *journal) missing(account string) (ids []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, in := range j.coming[account] {
		if in.sure {
			ids = append(ids, in.id)
		}
	}
	return ids
}

// judge holds an account against the journal, which then is what was found.
// used is what GETQUOTA says, in KiB.
func (j *journal) judge(account string, now map[string]*folderState, used int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	sum := int64(0)
	fresh := map[string]map[string][]*found{} // by folder and id: what no client has a UID of
	for name, f := range now {
		at, octets := place{account, name}, int64(0)
		if v := j.validity[at]; v != 0 && v != f.validity {
			j.fault("%v: UIDVALIDITY was %d and is %d", at, v, f.validity)
		}
		if f.modSeq < j.modSeq[at] {
			j.fault("%v: HIGHESTMODSEQ was %d and is %d", at, j.modSeq[at], f.modSeq)
		}
		if f.next <= j.highest[at] {
			j.fault("%v: UIDNEXT is %d, UID %d was seen", at, f.next, j.highest[at])
		}
		j.validity[at], j.modSeq[at] = f.validity, f.modSeq
		fresh[name] = map[string][]*found{}
		for uid, m := range f.mail {
			octets += m.size
			if !m.whole {
				j.fault("%v: %s (UID %d) is not what was sent", at, m.id, uid)
			}
			if id, known := j.uids[at][uid]; !known {
				fresh[name][m.id] = append(fresh[name][m.id], m)
			} else if id != m.id {
				j.fault("%v: UID %d was that of %s and is now that of %s", at, uid, id, m.id)
			}
		}
		if octets != f.size || int64(len(f.mail)) != f.messages {
			j.fault("%v: %d messages of %d octets, STATUS says %d of %d", at, len(f.mail), octets, f.messages, f.size)
		}
		sum += octets
	}
	if (sum+1023)/1024 != used {
		j.fault("%s: the messages take %d octets, GETQUOTA says %d KiB", account, sum, used)
	}
	j.judged[account] = now["INBOX"].next
	j.resolve(account, now, fresh)
	j.compare(account, now, fresh)
	for name, f := range now { // what comes from now on comes above
		at := place{account, name}
		j.highest[at] = max(j.highest[at], f.next-1)
	}
}

// resolve finds out what became of what was in flight. mu is held.
func (j *journal) resolve(account string, now map[string]*folderState, fresh map[string]map[string][]*found) {
	for d := range j.deeds {
		if d.of[0].account != account {
			continue
		}
		j.open[d.what]++
		if done, uids := j.happened(d, now, fresh); done {
			j.took[d.what]++
			j.apply(d, uids)
		}
		delete(j.deeds, d)
	}
	for key := range j.claimed { // whoever held it is gone
		if strings.HasPrefix(key, account+" ") {
			delete(j.claimed, key)
		}
	}
	for id, in := range j.coming[account] {
		f := fresh["INBOX"][id]
		switch {
		case len(f) > 0:
			if !in.sure {
				in.broken = true
				j.open["delivery"]++
			}
			j.arrived(account, f[0].uid, id, in)
		case in.sure:
			j.fault("%s: %s was accepted and is not there", account, id)
			delete(j.coming[account], id)
		case !in.broken: // perhaps it comes yet
			in.broken = true
			j.open["delivery"]++
		}
	}
}

// happened says whether a deed was done, and what UIDs came of it. That it was
// done in part, or that anything is lost by it, is a fault. mu is held.
func (j *journal) happened(d *deed, now map[string]*folderState, fresh map[string]map[string][]*found) (done bool, uids []uint32) {
	there, differ, changed := 0, 0, 0
	for i, l := range d.of {
		m := now[l.folder].mail[l.uid]
		if l.uid != 0 && m != nil {
			there++
			if d.flags != nil && l.flags != d.flags[i] {
				differ++
				if m.flags == d.flags[i] {
					changed++
				}
			}
		}
		if f := fresh[d.into][l.id]; len(f) > 0 {
			uids = append(uids, f[0].uid)
		}
	}
	n, came := len(d.of), len(uids)
	whole := true
	switch {
	case d.into != "":
		done = came == n
		stay := n
		if d.what == "APPEND" || done && d.leave {
			stay = 0
		}
		whole = there == stay && (done || came == 0)
	case d.leave:
		done = there == 0
		whole = done || there == n
	default: // compare looks at flags that are neither
		done = changed == differ
		whole = there == n && (done || changed == 0)
	}
	if !whole {
		j.fault("%s: %s of %d from %s into %q: %d are where they were, %d came, %d of %d flags changed", d.of[0].account, d.what, n, d.of[0].folder, d.into, there, came, changed, differ)
	}
	return done && whole, uids
}

// compare holds each letter against what is there. mu is held.
func (j *journal) compare(account string, now map[string]*folderState, fresh map[string]map[string][]*found) {
	expected := map[place]map[uint32]bool{}
	for l := range j.letters {
		if l.account != account {
			continue
		}
		at := place{account, l.folder}
		if expected[at] == nil {
			expected[at] = map[uint32]bool{}
		}
		expected[at][l.uid] = true
		m := now[l.folder].mail[l.uid]
		switch {
		case m == nil:
			j.fault("%v: %s (UID %d) is lost", at, l.id, l.uid)
			delete(j.letters, l)
		case m.flags != l.flags:
			j.fault("%v: %s (UID %d) has the flags %q, acknowledged were %q", at, l.id, l.uid, m.flags, l.flags)
			l.flags = m.flags
		}
	}
	for name, f := range now {
		at := place{account, name}
		for _, uid := range slices.Sorted(maps.Keys(f.mail)) {
			if !expected[at][uid] {
				j.fault("%v: %s (UID %d) should not be here", at, f.mail[uid].id, uid)
				// From now on it may be.
				j.named(at, uid, f.mail[uid].id, 0)
				j.letters[&letter{account, name, f.mail[uid].id, uid, f.mail[uid].flags}] = true
			}
		}
	}
}

// flagText is the sorted form in which flags are compared.
func flagText(flags []string) string {
	flags = slices.DeleteFunc(slices.Clone(flags), func(f string) bool { return strings.EqualFold(f, `\Recent`) })
	slices.Sort(flags)
	return strings.Join(slices.Compact(flags), " ")
}
