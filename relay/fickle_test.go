package relay_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
)

// fickle is a crowd of mail hosts that answer by chance, and keep an honest
// record of what they did. A message counts as taken when its last reply, 2yz,
// has been written.
type fickle struct {
	wg        sync.WaitGroup
	listeners []net.Listener

	mu       sync.Mutex
	random   *rand.Rand
	taken    map[string]int  // by recipient
	passedOn map[string]bool // by recipient: taken by a host that offered DSN
	refused  map[string]bool // by recipient or sender: 5yz to it, or to its message
}

func newFickle(seed uint64) *fickle {
	return &fickle{random: rand.New(rand.NewPCG(seed, 13)), taken: map[string]int{}, passedOn: map[string]bool{}, refused: map[string]bool{}}
}

func (f *fickle) serve(l net.Listener) {
	f.listeners = append(f.listeners, l)
	f.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f.wg.Go(func() { (&fickleSession{f: f, c: c, in: bufio.NewReader(c)}).run() })
		}
	})
}

func (f *fickle) stop() {
	for _, l := range f.listeners {
		_ = l.Close() // the end of the test
	}
	f.wg.Wait()
}

func (f *fickle) roll(n int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.random.IntN(n)
}

// fickleSession is one connection.
type fickleSession struct {
	f     *fickle
	c     net.Conn
	in    *bufio.Reader
	dsn   bool // offered
	open  bool // MAIL was taken
	from  string
	to    []string
	ended bool
}

// say answers: mostly good, else 4yz, 5yz (where the point allows it), 421 and a
// closed connection, or nothing but that. It gives the first digit of what it
// said, 0 for nothing.
func (s *fickleSession) say(good string, refuses bool) byte {
	reply := good
	switch roll := s.f.roll(40); {
	case roll < 5:
		reply = []string{"450 4.2.1 busy", "451 4.3.0 local error", "452 4.3.1 no room", "452 4.5.3 too many", "452 too many"}[roll]
	case roll < 8 && refuses:
		reply = []string{"550 5.1.1 unknown", "554 5.7.1 no", "553 no"}[roll-5]
	case roll == 8:
		reply, s.ended = "421 4.3.2 closing", true
	case roll == 9:
		s.ended = true
		return 0
	}
	if _, err := io.WriteString(s.c, reply+"\r\n"); err != nil {
		s.ended = true
		return 0
	}
	return reply[0]
}

func (s *fickleSession) run() {
	defer s.c.Close() //nolint:errcheck // a test's server
	if s.say("220 hi", true) != '2' {
		return
	}
	for !s.ended {
		line, err := s.in.ReadString('\n')
		if err != nil {
			return
		}
		s.command(strings.TrimSpace(line))
	}
}

func (s *fickleSession) command(line string) {
	verb, arg, _ := strings.Cut(line, " ")
	switch verb {
	case "EHLO":
		words := []string{"250-hi"}
		for _, w := range []string{"PIPELINING", "CHUNKING", "DSN"} {
			if s.f.roll(2) == 0 {
				words = append(words, "250-"+w)
				s.dsn = s.dsn || w == "DSN"
			}
		}
		s.say(strings.Join(append(words, "250 8BITMIME"), "\r\n"), true)
	case "MAIL":
		s.from, s.to = inBrackets(arg), nil
		said := s.say("250 ok", s.from != "") // of a null sender nobody could tell which message was meant
		s.open = said == '2'
		s.note(said == '5', s.from)
	case "RCPT":
		to := inBrackets(arg)
		if !s.open {
			s.just("503 5.5.1 MAIL first")
			return
		}
		said := s.say("250 ok", true)
		if said == '2' {
			s.to = append(s.to, to)
		}
		s.note(said == '5', to)
	case "DATA":
		if len(s.to) == 0 {
			s.just("503 5.5.1 RCPT first")
			return
		}
		if said := s.say("354 go", true); said != '3' {
			s.note(said == '5', s.to...)
			s.open, s.to = false, nil
			return
		}
		for {
			line, err := s.in.ReadString('\n')
			if err != nil {
				s.ended = true
				return
			}
			if line == ".\r\n" {
				break
			}
		}
		s.finish()
	case "BDAT":
		var n int64
		if _, err := fmt.Sscanf(arg, "%d LAST", &n); err != nil {
			panic(line)
		}
		if _, err := io.CopyN(io.Discard, s.in, n); err != nil {
			s.ended = true
			return
		}
		if len(s.to) == 0 {
			s.just("503 5.5.1 RCPT first")
			return
		}
		s.finish()
	case "RSET":
		s.open, s.to = false, nil
		s.just("250 ok")
	case "QUIT":
		s.just("221 bye")
		s.ended = true
	default:
		s.just("502 5.5.2 what?")
	}
}

func (s *fickleSession) just(reply string) {
	if _, err := io.WriteString(s.c, reply+"\r\n"); err != nil {
		s.ended = true
	}
}

// finish answers for a whole message.
func (s *fickleSession) finish() {
	said := s.say("250 taken", true)
	s.note(said == '5', s.to...)
	if said == '2' {
		s.f.mu.Lock()
		for _, to := range s.to {
			s.f.taken[to]++
			s.f.passedOn[to] = s.dsn
		}
		s.f.mu.Unlock()
	}
	s.open, s.to = false, nil
}

func (s *fickleSession) note(refused bool, whom ...string) {
	if !refused {
		return
	}
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	for _, a := range whom {
		s.f.refused[a] = true
	}
}

func inBrackets(s string) string {
	_, s, _ = strings.Cut(s, "<")
	s, _, _ = strings.Cut(s, ">")
	return s
}
