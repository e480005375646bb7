package store

import "tenma/relay/mailbox/store/list"

// What is kept of mailboxes and folders that nobody has open: clients of POP3
// come back every few minutes, and bounces arrive without anybody looking.
const (
	cachedFolders  = 50_000    // of mailboxes without a user; about 300 octets each
	cachedMessages = 1_000_000 // in lists of folders without a view; 24 octets each
)

// hold says that somebody uses a mailbox that is in use.
func (b *box) hold() {
	b.s.mu.Lock()
	b.holdLocked()
	b.s.mu.Unlock()
}

// holdLocked is hold with s.mu held, also for an idle mailbox.
func (b *box) holdLocked() {
	b.users++
	b.s.idleBoxes.Take(b)
}

// release ends hold. folders is how many the mailbox has. b.mu may be held.
func (b *box) release(folders int) {
	s := b.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.users--; b.users > 0 || s.boxes[b.account] != b {
		return
	}
	for _, old := range s.idleBoxes.Put(b, folders+1) {
		delete(s.boxes, old.account) // its lists fall out of idleLists in their time
	}
}

// idleList keeps the list of a folder that may have no view any more, and drops
// others for it.
func (s *Store) idleList(f *folder) {
	var drop []*folder
	f.box.mu.Lock()
	if len(f.views) == 0 && f.loaded && !f.dead {
		s.mu.Lock()
		drop = s.idleLists.Put(f, f.cur.Len()+100) // an empty list is not nothing
		s.mu.Unlock()
	}
	f.box.mu.Unlock()
	for _, old := range drop {
		old.unload()
	}
}

// useList takes a list out of the cache, since a view has it.
func (s *Store) useList(f *folder) {
	s.mu.Lock()
	s.idleLists.Take(f)
	s.mu.Unlock()
}

// unload drops the list if nobody needs it.
func (f *folder) unload() {
	f.box.mu.Lock()
	defer f.box.mu.Unlock()
	f.box.s.mu.Lock()
	again := f.box.s.idleLists.Has(f) // it came back meanwhile
	f.box.s.mu.Unlock()
	if len(f.views) == 0 && f.pending == 0 && f.loaded && !again {
		f.loaded = false
		f.cur, f.pub, f.atLoad = list.List{}, list.List{}, list.List{}
	}
}
