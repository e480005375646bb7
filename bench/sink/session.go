package sink

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"time"

	"tenma/bench/internet"
)

// Sizes and times of a session.
const (
	firstBuffer = 16 << 10         // what most bursts of a sender fit in
	bigBuffer   = 256 << 10        // after reads that filled the buffer: fewer reads of large messages
	idle        = 10 * time.Minute // without a word, or unread replies, the connection is closed
	idleStep    = time.Minute      // how exactly idle is kept: a deadline for each read costs
	maxLine     = 4096             // octets of a command
	maxMistakes = 100              // commands that are none
	maxChunk    = 1 << 40          // octets of a BDAT chunk, to have no overflow
)

// Replies that a friendly host gives.
const (
	okMail = "250 2.1.0 Ok"
	okRcpt = "250 2.1.5 Ok"
	okData = "354 Go ahead"
	okDot  = "250 2.0.0 Taken"
	okTLS  = "220 2.0.0 Ready to start TLS"
	ok     = "250 2.0.0 Ok"
	going  = "421 4.3.2 Going down"
)

var errEnd = errors.New("end of conversation")

// session is one connection. All but raw is its goroutine's own.
type session struct {
	sink *Sink
	door *door
	ctx  context.Context
	raw  net.Conn // as accepted; for deadlines
	conn net.Conn // with a road and TLS on it

	buf  []byte // what was read is buf[r:w]
	r, w int
	out  []byte // replies not yet written
	by   time.Time

	chance   rand.PCG
	tls      bool
	left     bool // is counted as open no more
	mistakes int
	taken    int // messages up to their end

	mail    bool
	from    []byte // for greylists
	rcpts   int
	own     *host // of the first recipient's domain, if it has one
	begun   bool  // a message's first chunk has come
	size    int64 // octets of the message so far
	keep    bool  // its octets are wanted, in body
	body    []byte
	scanner scanner
	heads   heads
}

func newSession(ctx context.Context, s *Sink, d *door, c net.Conn) *session {
	return &session{sink: s, door: d, ctx: ctx, raw: c, conn: c, buf: make([]byte, firstBuffer), out: make([]byte, 0, 512)}
}

// host is how this address behaves now.
func (s *session) host() *host { return s.sink.hosts.Load().address(s.door.address) }

func (s *session) tally() *tally { return s.sink.tally.Load() }

func (s *session) random() float64 { return float64(s.chance.Uint64()>>11) / (1 << 53) }

// run holds the conversation; open is how many connections this address has,
// this one included.
func (s *session) run(open int64) {
	h := s.host()
	s.conn = h.Road(s.ctx, s.raw, s.random)
	defer func() { s.conn.Close() }() // what is on the road arrives first
	if h.MaxConns > 0 && open > int64(h.MaxConns) {
		s.tally().refusedConns.Add(1)
		s.write("421 4.7.0 " + s.sink.cfg.Name + " Too many connections")
		s.leave()
		_ = s.flush()
		return
	}
	err := s.say(h, internet.AtConnect, "220 "+s.sink.cfg.Name+" ESMTP")
	for err == nil {
		var line []byte
		if line, err = s.line(); err == nil {
			err = s.command(line)
		}
	}
	s.leave()
	_ = s.flush()
}

// leave ends the count of this connection. Before the client hears the last
// reply, so that its next connection finds the place free.
func (s *session) leave() {
	if !s.left {
		s.left = true
		s.sink.open.Add(-1)
		s.door.open.Add(-1)
	}
}

// fill reads more, after the replies that the client may be waiting for are
// written. busy says that a message is under way, which is finished though the
// sink goes down.
func (s *session) fill(busy bool) error {
	if err := s.flush(); err != nil {
		return err
	}
	if s.r == s.w {
		s.r, s.w = 0, 0
	} else if s.w == len(s.buf) {
		s.w = copy(s.buf, s.buf[s.r:s.w])
		s.r = 0
	}
	for {
		if now := time.Now(); s.by.Sub(now) < idle-idleStep {
			s.by = now.Add(idle)
			if err := s.raw.SetDeadline(s.by); err != nil {
				return err
			}
		}
		if s.sink.down.Load() && !busy {
			s.write(going)
			return errEnd
		}
		n, err := s.conn.Read(s.buf[s.w:])
		s.w += n
		if n > 0 {
			return nil
		}
		if errors.Is(err, os.ErrDeadlineExceeded) && s.sink.down.Load() {
			s.by = time.Time{} // that was Down
			if busy {
				continue
			}
			s.write(going)
		}
		if err == nil {
			continue
		}
		return err
	}
}

// grow makes the buffer larger for a client that fills it.
func (s *session) grow() {
	if s.w == len(s.buf) && len(s.buf) < bigBuffer {
		b := make([]byte, min(bigBuffer, 4*len(s.buf)))
		s.w = copy(b, s.buf[s.r:s.w])
		s.r, s.buf = 0, b
	}
}

func (s *session) flush() error {
	if len(s.out) == 0 {
		return nil
	}
	_, err := s.conn.Write(s.out)
	s.out = s.out[:0]
	return err
}

// line gives the next command without its line end, until the next fill.
func (s *session) line() ([]byte, error) {
	for {
		have := s.buf[s.r:s.w]
		if i := bytes.IndexByte(have[:min(len(have), maxLine)], '\n'); i >= 0 {
			s.r += i + 1
			return bytes.TrimSuffix(have[:i], []byte{'\r'}), nil
		}
		if len(have) >= maxLine {
			s.tally().mistakes.Add(1)
			s.write("500 5.5.6 Line too long")
			return nil, errEnd
		}
		if err := s.fill(false); err != nil {
			return nil, err
		}
	}
}

// command answers one command. Its line lies in the buffer: what is needed
// later is copied.
func (s *session) command(line []byte) error {
	verb, arg, _ := bytes.Cut(line, []byte{' '})
	h := s.host()
	switch {
	case is(verb, "MAIL"):
		return s.mailFrom(h, arg)
	case is(verb, "RCPT"):
		return s.rcptTo(h, arg)
	case is(verb, "DATA"):
		return s.data(h)
	case is(verb, "BDAT"):
		return s.bdat(h, arg)
	case is(verb, "EHLO"):
		s.reset()
		return s.hello(h)
	case is(verb, "HELO"):
		s.reset()
		return s.say(h, internet.AtHELO, "250 "+s.sink.cfg.Name)
	case is(verb, "STARTTLS"):
		return s.startTLS(h)
	case is(verb, "RSET"):
		s.reset()
		s.write(ok)
	case is(verb, "NOOP"):
		s.write(ok)
	case is(verb, "QUIT"):
		s.write("221 2.0.0 Bye")
		return errEnd
	default:
		return s.mistake("502 5.5.2 Command not recognized")
	}
	return nil
}

// is compares a verb without regard to case (RFC 5321 section 2.4).
func is(verb []byte, name string) bool {
	if len(verb) != len(name) {
		return false
	}
	for i, c := range verb {
		if c&^0x20 != name[i] {
			return false
		}
	}
	return true
}

// write puts a reply in line; "\n" parts its lines, which may be without code.
func (s *session) write(reply string) {
	s.out = internet.AppendReply(s.out, reply)
}

// mistake answers what no sender should say.
func (s *session) mistake(reply string) error {
	s.tally().mistakes.Add(1)
	s.mistakes++
	s.write(reply)
	if s.mistakes > maxMistakes {
		return errEnd
	}
	return nil
}

// say gives the host's reply at a point, or the usual one.
func (s *session) say(h *host, at, usual string) error {
	return s.tell(h, at, s.decide(h, at, usual))
}

// decide gives the reply to be told at a point, once for each.
func (s *session) decide(h *host, at, usual string) string {
	if h.plain {
		return usual
	}
	if own, ok := h.Say[at]; ok {
		return own
	}
	if reply := h.Chance(at, s.random); reply != "" {
		return reply
	}
	return usual
}

// tell gives a reply when its time has come, and errEnd after one that ends
// the conversation.
func (s *session) tell(h *host, at, reply string) error {
	if !h.plain {
		if d := h.Pause(at, s.random); d > 0 {
			if err := s.flush(); err != nil {
				return err
			}
			if !internet.Sleep(s.ctx, d) {
				return errEnd
			}
		}
	}
	switch reply[0] {
	case '2', '3':
		s.write(reply)
		return nil
	case 'd': // internet.Drop
		s.tally().dropped.Add(1)
		return errEnd
	case 's': // internet.Stall
		return s.stall()
	}
	switch at {
	case internet.AtConnect:
		s.tally().refusedConns.Add(1)
	case internet.AtRcpt:
		s.tally().refusedRecipients.Add(1)
	case internet.AtMail, internet.AtData, internet.AtDot:
		s.tally().refusedMessages.Add(1)
	}
	s.write(reply)
	if at == internet.AtConnect || bytes.HasPrefix([]byte(reply), []byte("421")) {
		return errEnd
	}
	return nil
}

// stall says nothing more; the connection stays until the client leaves it.
func (s *session) stall() error {
	if err := s.flush(); err != nil {
		return err
	}
	for {
		s.r, s.w = 0, 0
		if err := s.fill(false); err != nil {
			return err
		}
	}
}

// agrees reports a reply that lets the client go on.
func agrees(reply string) bool { return reply[0] == '2' || reply[0] == '3' }

func (s *session) hello(h *host) error {
	if h.HELOOnly {
		return s.tell(h, internet.AtEHLO, "502 5.5.1 Command not implemented")
	}
	if s.tls {
		return s.say(h, internet.AtEHLO, h.ehlo)
	}
	return s.say(h, internet.AtEHLO, h.offer)
}

func (s *session) startTLS(h *host) error {
	if h.TLS == nil || s.tls {
		return s.mistake("502 5.5.1 Command not implemented")
	}
	reply := s.decide(h, internet.AtStartTLS, okTLS)
	if err := s.tell(h, internet.AtStartTLS, reply); err != nil || !agrees(reply) {
		return err
	}
	if err := s.flush(); err != nil {
		return err
	}
	s.r, s.w = 0, 0 // what was sent before the handshake never counts (RFC 3207 section 4.2)
	if h.TLSBroken {
		if err := s.fill(true); err != nil { // of the ClientHello
			return err
		}
		s.write("this is no TLS")
		return errEnd
	}
	c := tls.Server(s.conn, h.TLS)
	if err := c.HandshakeContext(s.ctx); err != nil {
		return err
	}
	s.tally().tls.Add(1)
	s.reset()
	s.tls, s.conn = true, c
	return nil
}
