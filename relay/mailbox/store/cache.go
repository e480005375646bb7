package store

import (
	"container/list"
)

// What is kept of mailboxes and folders that nobody has open: clients of POP3
// come back every few minutes, and bounces arrive without anybody looking.
const (
	cachedFolders  = 50_000    // of mailboxes without a user; about 300 octets each
	cachedMessages = 1_000_000 // in lists of folders without a view; 24 octets each
)

// cache says in which order idle mailboxes and lists are forgotten. Store.mu
// guards it.
type cache struct {
	boxes    list.List // of *box, the one used last in front
	folders  int
	lists    list.List // of *folder
	messages int
}

// hold says that somebody uses a mailbox that is in use.
func (b *box) hold() {
	b.s.mu.Lock()
	b.holdLocked()
	b.s.mu.Unlock()
}

// holdLocked is hold with s.mu held, also for an idle mailbox.
func (b *box) holdLocked() {
	if b.users++; b.idle != nil {
		b.s.cache.boxes.Remove(b.idle)
		b.s.cache.folders -= b.weight
		b.idle = nil
	}
}

// release ends hold. b.mu may be held.
func (b *box) release(folders int) {
	s := b.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.users--; b.users > 0 || s.boxes[b.account] != b {
		return
	}
	c := &s.cache
	b.weight = folders
	b.idle = c.boxes.PushFront(b)
	c.folders += b.weight
	for c.folders > cachedFolders && c.boxes.Len() > 1 {
		s.forget(c.boxes.Back().Value.(*box))
	}
}

// forget drops an idle mailbox from memory. s.mu is held.
func (s *Store) forget(b *box) {
	s.cache.boxes.Remove(b.idle)
	s.cache.folders -= b.weight
	b.idle = nil
	delete(s.boxes, b.account)
	for e := s.cache.lists.Front(); e != nil; {
		next := e.Next()
		if f := e.Value.(*folder); f.box == b {
			s.unlist(f)
		}
		e = next
	}
}

// unlist takes a folder's list out of the cache. s.mu is held.
func (s *Store) unlist(f *folder) {
	if f.idle != nil {
		s.cache.lists.Remove(f.idle)
		s.cache.messages -= f.weight
		f.idle = nil
	}
}

// keepList puts a list that no view has any more into the cache and gives those
// that are to be dropped for it. box.mu is held.
func (s *Store) keepList(f *folder) (drop []*folder) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unlist(f)
	c := &s.cache
	f.weight = f.cur.Len() + 100 // an empty list is not nothing
	f.idle = c.lists.PushFront(f)
	for c.messages += f.weight; c.messages > cachedMessages; {
		old := c.lists.Back().Value.(*folder)
		s.unlist(old)
		drop = append(drop, old)
	}
	return drop
}

// idleList is keepList for a folder that may have a view after all.
func (s *Store) idleList(f *folder) {
	var drop []*folder
	f.box.mu.Lock()
	if len(f.views) == 0 && f.loaded && !f.dead {
		drop = s.keepList(f)
	}
	f.box.mu.Unlock()
	for _, old := range drop {
		old.unload()
	}
}

// useList takes a list out of the cache, since a view has it.
func (s *Store) useList(f *folder) {
	s.mu.Lock()
	s.unlist(f)
	s.mu.Unlock()
}
