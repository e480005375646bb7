package delivery

import (
	"crypto/tls"
	"sync"
	"time"

	"tenma/relay/mail"
)

// Sizes and times of what is remembered about hosts.
const (
	maxHosts    = 4096      // hosts with an entry in one memory
	roughFor    = time.Hour // no riding behind a dot after it cost messages
	brokenFor   = time.Hour // no STARTTLS after a handshake failed, where nothing is demanded
	maxSessions = 4096      // (source, host, demand) with TLS sessions to resume
)

// memory is a bounded set of hosts whose members expire. When it is full and
// nothing has expired, any member makes room: forgetting costs a repeated
// lesson, no mail.
type memory struct {
	mu    sync.Mutex
	until map[string]time.Time
}

func (m *memory) add(host string, d time.Duration) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.until == nil {
		m.until = map[string]time.Time{}
	}
	if len(m.until) >= maxHosts {
		for h, t := range m.until {
			if !now.Before(t) {
				delete(m.until, h)
			}
		}
		for h := range m.until {
			if len(m.until) < maxHosts {
				break
			}
			delete(m.until, h)
		}
	}
	m.until[host] = now.Add(d)
}

func (m *memory) has(host string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := m.until[host]
	if ok && !time.Now().Before(t) {
		delete(m.until, host)
		return false
	}
	return ok
}

// sessionKey separates TLS sessions: one that was made under a weaker demand,
// from another source or with another host is never resumed.
type sessionKey struct {
	source, host string
	demand       mail.TLSDemand
}

// sessions keeps the TLS sessions that can be resumed.
type sessions struct {
	mu     sync.Mutex
	caches map[sessionKey]tls.ClientSessionCache
}

func (s *sessions) of(k sessionKey) tls.ClientSessionCache {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.caches[k]; ok {
		return c
	}
	if s.caches == nil {
		s.caches = map[sessionKey]tls.ClientSessionCache{}
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
