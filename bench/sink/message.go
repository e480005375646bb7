package sink

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"tenma/bench/internet"
)

// reset forgets the transaction.
func (s *session) reset() {
	if s.keep {
		s.sink.store.giveBack()
	}
	s.mail, s.rcpts, s.own, s.begun, s.keep = false, 0, nil, false, false
}

func (s *session) mailFrom(h *host, arg []byte) error {
	if !h.plain {
		switch {
		case h.TLSRequired && !s.tls:
			s.tally().refusedMessages.Add(1)
			s.write("530 5.7.0 Must issue a STARTTLS command first")
			return nil
		case h.MaxMessages > 0 && s.taken >= h.MaxMessages:
			s.write("421 4.7.0 Too many messages on this connection")
			return errEnd
		}
	}
	from, ok := address(arg, "FROM:")
	switch {
	case !ok:
		return s.mistake("501 5.5.4 Syntax: MAIL FROM:<address>")
	case s.mail:
		return s.mistake("503 5.5.1 Nested MAIL command")
	}
	reply := s.decide(h, internet.AtMail, okMail)
	if agrees(reply) {
		s.reset()
		s.mail = true
		s.from = append(s.from[:0], from...)
	}
	return s.tell(h, internet.AtMail, reply)
}

func (s *session) rcptTo(h *host, arg []byte) error {
	to, ok := address(arg, "TO:")
	switch {
	case !ok:
		return s.mistake("501 5.5.4 Syntax: RCPT TO:<address>")
	case !s.mail:
		return s.mistake("503 5.5.1 Need MAIL before RCPT")
	}
	var own *host
	if all := s.sink.hosts.Load(); len(all.domains) > 0 {
		if own = all.domain(bytes.ToLower(to[bytes.LastIndexByte(to, '@')+1:])); own != nil {
			h = own
		}
	}
	reply := s.decide(h, internet.AtRcpt, s.judge(h, to))
	if agrees(reply) {
		if s.rcpts == 0 {
			s.own = own
		}
		s.rcpts++
	}
	return s.tell(h, internet.AtRcpt, reply)
}

// ready answers DATA and BDAT without a recipient.
func (s *session) ready() bool { return s.mail && s.rcpts > 0 }

// begin starts a message.
func (s *session) begin() {
	s.begun, s.size = true, 0
	s.heads.start()
	s.keep = s.sink.store.room()
	s.body = s.body[:0]
}

// take is a piece of the message.
func (s *session) take(p []byte, most int64) {
	s.size += int64(len(p))
	s.heads.next(p)
	if s.keep && s.size <= most {
		s.body = append(s.body, p...)
	}
}

func (s *session) data(h *host) error {
	if s.begun || !s.ready() { // DATA within BDAT: RFC 3030 section 2
		return s.mistake("503 5.5.1 Need RCPT before DATA")
	}
	if s.own != nil {
		h = s.own
	}
	reply := s.decide(h, internet.AtData, okData)
	if err := s.tell(h, internet.AtData, reply); err != nil || !agrees(reply) {
		return err
	}
	s.begin()
	s.scanner.start()
	for {
		if s.r == s.w {
			s.grow()
			if err := s.fill(true); err != nil {
				return err
			}
		}
		n, done := s.scanner.next(s.buf[s.r:s.w])
		s.take(s.buf[s.r:s.r+n], h.size)
		s.r += n
		if done {
			if s.keep {
				s.body = unstuff(s.body)
			}
			return s.finish(h)
		}
	}
}

// bdat takes one chunk (RFC 3030 section 2).
func (s *session) bdat(h *host, arg []byte) error {
	number, last, _ := bytes.Cut(arg, []byte{' '})
	length, err := strconv.ParseInt(string(number), 10, 64)
	if err != nil || length < 0 || length > maxChunk {
		_ = s.mistake("501 5.5.4 Bad chunk size")
		return errEnd // where the next command begins is not known
	}
	final := is(last, "LAST") // the line lies in the buffer that the chunk is read into
	taken := s.ready()
	if taken && s.own != nil {
		h = s.own
	}
	if taken && !s.begun {
		s.begin()
	}
	for left := length; left > 0; {
		if s.r == s.w {
			s.grow()
			if err := s.fill(true); err != nil {
				return err
			}
		}
		n := int(min(left, int64(s.w-s.r)))
		if taken {
			s.take(s.buf[s.r:s.r+n], h.size)
		}
		s.r += n
		left -= int64(n)
	}
	switch {
	case !taken:
		return s.mistake("503 5.5.1 Need RCPT before BDAT")
	case !final:
		s.write("250 2.0.0 Octets received")
		return nil
	}
	return s.finish(h)
}

// finish decides on a whole message, counts it and answers.
func (s *session) finish(h *host) error {
	reply := okDot
	switch {
	case s.size > h.size:
		reply = "552 5.3.4 Message too big"
	case !h.plain:
		if h.TempFail > 0 && s.random() < h.TempFail {
			reply = "451 4.3.0 Temporary trouble"
		}
		reply = s.decide(h, internet.AtDot, reply)
	}
	s.taken++
	if agrees(reply) || h.Keep {
		s.count(h)
	}
	s.reset()
	return s.tell(h, internet.AtDot, reply)
}

// count notes a message that was taken.
func (s *session) count(h *host) {
	t := s.tally()
	t.bytes.Add(s.size)
	t.recipients.Add(int64(s.rcpts))
	ours, copies := false, uint32(0)
	switch {
	case !s.heads.tagged:
		t.untagged.Add(1)
	case !t.counts(s.heads.tag.Run):
		t.untagged.Add(1)
		t.others.Add(1)
	default:
		ours, copies = true, t.arrived(s.heads.tag.N, time.Now())
		if s.heads.signatures > 0 {
			t.signatures.Add(s.heads.signatures)
		}
	}
	if s.keep && s.size <= h.size {
		if s.sink.store.write(s.heads.tag, ours, copies, s.body) == nil {
			t.stored.Add(1)
			s.keep = false // its place is taken
		}
	}
	if cap(s.body) > bigBuffer {
		s.body = nil
	}
}

// address reads "FROM:<a@b> ARGS". The address lies in the buffer.
func address(arg []byte, word string) (a []byte, ok bool) {
	if len(arg) < len(word) || !strings.EqualFold(string(arg[:len(word)]), word) {
		return nil, false
	}
	arg = bytes.TrimLeft(arg[len(word):], " ")
	end := bytes.IndexByte(arg, '>')
	if end < 0 || arg[0] != '<' {
		return nil, false
	}
	return arg[1:end], true
}
