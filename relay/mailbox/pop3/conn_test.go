package pop3

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

// sink is a socket that takes everything, or nothing.
type sink struct {
	socket // for what is not called
	got    bytes.Buffer
	fail   error
}

func (s *sink) Write(p []byte) (int, error) {
	if s.fail != nil {
		return len(p) / 2, s.fail
	}
	return s.got.Write(p)
}
func (*sink) SetWriteDeadline(time.Time) error { return nil }

// Replies and messages share a buffer; whichever of them fills it, all octets
// arrive in order.
func TestBufferFilledByReplies(t *testing.T) {
	for room := range 40 {
		to := &sink{}
		s := &session{c: newConn(to, &sync.Pool{New: func() any { b := make([]byte, 0, outBuffer); return &b }})}
		s.c.enlarge()
		message := strings.Repeat("m", outBuffer-room)
		for range 3 {
			if err := s.c.write([]byte(message)); err != nil {
				t.Fatal(err)
			}
			s.ok("%d octets", 4711)
			s.err(errQuit)
		}
		if err := s.c.flush(); err != nil {
			t.Fatal(err)
		}
		want := strings.Repeat(message+"+OK 4711 octets\r\n-ERR "+errQuit.Error()+"\r\n", 3)
		if got := to.got.String(); got != want {
			t.Errorf("room of %d: %d octets came, want %d", room, len(got), len(want))
		}
	}
}

// What was sent in part is not sent again.
func TestNoSecondTry(t *testing.T) {
	to := &sink{fail: errors.New("broken")}
	s := &session{c: newConn(to, nil)}
	s.ok("hello")
	if err := s.c.flush(); err == nil {
		t.Fatal("no error")
	}
	to.fail = nil
	if err := s.c.flush(); err == nil || to.got.Len() > 0 {
		t.Errorf("%v; sent %q", err, to.got.String())
	}
}
