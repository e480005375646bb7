package acme

import (
	"context"
	"sync"

	"github.com/caddyserver/certmagic"
)

// store is certmagic's storage in files, with locks in memory: the data directory is
// one process's own, since the spool in it is. Its lock files would have a goroutine
// each that outlives the lock by seconds, and a crash would leave them behind.
type store struct {
	*certmagic.FileStorage
	mu    sync.Mutex
	locks map[string]chan struct{} // guarded by mu: closed when the lock is free
}

func newStore(dir string) *store {
	return &store{FileStorage: &certmagic.FileStorage{Path: dir}, locks: map[string]chan struct{}{}}
}

// Lock waits for the lock of that name, as long as ctx lets it.
func (s *store) Lock(ctx context.Context, name string) error {
	for {
		s.mu.Lock()
		held := s.locks[name]
		if held == nil {
			s.locks[name] = make(chan struct{})
			s.mu.Unlock()
			return nil
		}
		s.mu.Unlock()
		select {
		case <-held:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Unlock gives the lock back.
func (s *store) Unlock(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if held := s.locks[name]; held != nil {
		close(held)
		delete(s.locks, name)
	}
	return nil
}
