package delivery

import "testing"

// The memory is bounded.
func TestMemoryIsBounded(t *testing.T) {
	var m memory
	for i := range maxHosts + 100 {
		m.add(string(rune(i)), roughFor)
	}
	if len(m.until) > maxHosts {
		t.Errorf("%d hosts remembered", len(m.until))
	}
}
