package delivery

import "testing"

// The memories are bounded.
func TestMemoryIsBounded(t *testing.T) {
	var m memory
	for i := range maxHosts + 100 {
		m.add(string(rune(i)), roughFor)
	}
	if len(m.until) > maxHosts {
		t.Errorf("%d hosts remembered", len(m.until))
	}
	var s sessions
	for i := range maxSessions + 100 {
		s.of(sessionKey{host: string(rune(i))})
	}
	if len(s.caches) > maxSessions {
		t.Errorf("%d sessions remembered", len(s.caches))
	}
}
