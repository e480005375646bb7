package delivery

import (
	"sync"
	"time"
)

// Sizes and times of what is remembered about hosts.
const (
	maxHosts = 4096      // hosts with an entry in one memory
	roughFor = time.Hour // no riding behind a dot after it cost messages

	// brokenFor is how long no STARTTLS is tried after a handshake failed, where
	// nothing is demanded. TLS that is broken stays broken for days, and each try
	// costs both sides a connection.
	brokenFor = 72 * time.Hour
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
