package handshake

import (
	"crypto/tls"
	"sync"

	"tenma/relay/mail"
)

// maxSessions is for how many Keys there are TLS sessions to resume.
const maxSessions = 4096

// Key separates TLS sessions: only one that was made under the same is resumed.
type Key struct {
	Source, Host string
	Demand       mail.TLSDemand
	Digest       string           // of the TLSA records that the certificate had to match
	Certificate  *tls.Certificate // that we showed
}

// Sessions keeps the TLS sessions that can be resumed. The zero value is ready.
type Sessions struct {
	mu     sync.Mutex
	caches map[Key]tls.ClientSessionCache
}

// Of gives the sessions under k. When there are too many, any make room:
// forgetting costs a full handshake.
func (s *Sessions) Of(k Key) tls.ClientSessionCache {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.caches[k]; ok {
		return c
	}
	if s.caches == nil {
		s.caches = map[Key]tls.ClientSessionCache{}
	}
	for old := range s.caches {
		if len(s.caches) < maxSessions {
			break
		}
		delete(s.caches, old)
	}
	c := tls.NewLRUClientSessionCache(1)
	s.caches[k] = c
	return c
}
