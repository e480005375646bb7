package dnscache

import (
	"context"
	"net"
	"sync"
	"time"
)

const (
	// socketUses is after how many queries a socket is closed, so that an
	// observer who learned its port has little use of it (RFC 5452 section 9.2).
	socketUses = 32
	// socketIdle is how long a socket may wait for its next query.
	socketIdle = 30 * time.Second
	// deadAfter silences in a row make a server dead.
	deadAfter = 2
	// deadFirst is how long a dead server is left alone at first; the time
	// doubles with each further silence up to deadLongest.
	deadFirst   = 5 * time.Second
	deadLongest = 2 * time.Minute
	// plainFor is how long a server that does not know EDNS is spared it.
	plainFor = time.Hour
	// singleAfter pairs in a row of which one reply was lost make a server one
	// that is asked one question at a time on a socket, for singleFor: there are
	// boxes that let one reply of two pass. A server that is overloaded loses
	// replies too, but hardly so regularly.
	singleAfter = 16
	singleFor   = time.Hour
)

// server is one DNS server, what is known about its health, and the idle
// sockets that lead to it.
type server struct {
	addr     string // as for Dial
	believed bool   // its AD bit counts

	mu       sync.Mutex
	idle     []*socket // last used last
	keep     int       // idle sockets to keep
	silences int       // in a row
	dead     bool
	asleep   time.Time // until then a dead server is asked last
	plain    time.Time // until then without EDNS
	halves   int       // pairs in a row of which one reply was lost
	single   time.Time // until then one question at a time on a socket
}

// socket is a connected UDP socket and its buffer. One query at a time owns it,
// or the two for the addresses of a name.
type socket struct {
	conn net.Conn
	uses int
	used time.Time
	buf  [bufferSize]byte
}

// take gives an idle socket or a new one.
func (s *server) take(ctx context.Context, dial func(context.Context, string, string) (net.Conn, error)) (*socket, error) {
	now := time.Now()
	s.mu.Lock()
	var old []*socket
	var found *socket
	if n := len(s.idle); n > 0 {
		found, s.idle = s.idle[n-1], s.idle[:n-1]
		if now.Sub(found.used) > socketIdle { // then the others are older still
			old, found, s.idle = append(s.idle, found), nil, nil
		}
	}
	s.mu.Unlock()
	for _, o := range old {
		_ = o.conn.Close()
	}
	if found != nil {
		return found, nil
	}
	conn, err := dial(ctx, "udp", s.addr)
	if err != nil {
		return nil, err
	}
	return &socket{conn: conn}, nil
}

// give takes a socket back after a query that went well.
func (s *server) give(k *socket) {
	k.uses++
	k.used = time.Now()
	s.mu.Lock()
	kept := k.uses < socketUses && len(s.idle) < s.keep
	if kept {
		s.idle = append(s.idle, k)
	}
	s.mu.Unlock()
	if !kept {
		_ = k.conn.Close()
	}
}

func (s *server) closeIdle() {
	s.mu.Lock()
	idle := s.idle
	s.idle = nil
	s.mu.Unlock()
	for _, k := range idle {
		_ = k.conn.Close()
	}
}

func (s *server) setKeep(n int) {
	s.mu.Lock()
	s.keep = n
	s.mu.Unlock()
	if n == 0 {
		s.closeIdle()
	}
}

// spoke notes that the server answered, whatever it said, and reports whether
// it was thought dead.
func (s *server) spoke() (revived bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	revived = s.dead
	s.silences, s.dead = 0, false
	return revived
}

// silent notes that the server did not answer and reports whether that made
// it dead.
func (s *server) silent() (died bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silences++
	if s.silences < deadAfter {
		return false
	}
	died = !s.dead
	s.dead = true
	s.asleep = time.Now().Add(min(deadFirst<<min(s.silences-deadAfter, 10), deadLongest))
	return died
}

// ready reports whether the server is worth asking before others. Of a dead
// server whose rest is over, one caller in a while gets true, to try it.
func (s *server) ready(now time.Time, while time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.dead {
		return true
	}
	if now.Before(s.asleep) {
		return false
	}
	s.asleep = now.Add(while)
	return true
}

func (s *server) edns(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !now.Before(s.plain)
}

func (s *server) noEDNS(now time.Time) {
	s.mu.Lock()
	s.plain = now.Add(plainFor)
	s.mu.Unlock()
}

// pairs reports whether the server is in good health, EDNS included, and can
// be asked two questions at once.
func (s *server) pairs(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.dead && !now.Before(s.plain) && !now.Before(s.single)
}

// paired notes that two questions at once had two replies, or only one.
func (s *server) paired(whole bool, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.halves++; whole {
		s.halves = 0
	}
	if s.halves >= singleAfter {
		s.halves, s.single = 0, now.Add(singleFor)
	}
}
