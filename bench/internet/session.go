package internet

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// maxData bounds what a receiver keeps of one message.
const maxData = 64 << 20

var errEnd = errors.New("end of conversation")

// session is one connection of a Receiver.
type session struct {
	r    *Receiver
	ctx  context.Context
	conn net.Conn
	in   *bufio.Reader
	out  *bufio.Writer
	line []byte // for write

	tls   bool
	user  string // has logged in
	mail  bool
	taken int // messages up to their end
	m     Message
}

func (s *session) run() {
	if s.say(AtConnect, "220 "+s.r.Name+" ESMTP") != nil {
		s.out.Flush()
		return
	}
	for {
		if s.in.Buffered() == 0 && s.out.Flush() != nil {
			return
		}
		line, err := s.in.ReadString('\n')
		if err != nil || len(line) > 4096 {
			return
		}
		if s.command(strings.TrimRight(line, "\r\n")) != nil {
			s.out.Flush()
			return
		}
	}
}

// write puts a reply on the wire.
func (s *session) write(reply string) {
	s.line = AppendReply(s.line[:0], reply)
	s.out.Write(s.line)
}

// AppendReply appends a reply as it goes over the wire. It is given as "250
// text", with lines parted by "\n"; those after the first may be without code.
func AppendReply(b []byte, reply string) []byte {
	if !strings.Contains(reply, "\n") {
		return append(append(b, reply...), "\r\n"...)
	}
	lines := strings.Split(reply, "\n")
	code := lines[0]
	if len(code) > 3 {
		code = code[:3]
	}
	for i, l := range lines {
		if i > 0 && !(len(l) > 3 && l[:3] == code) {
			l = code + " " + l
		}
		if i < len(lines)-1 && len(l) > 3 {
			l = l[:3] + "-" + l[4:]
		}
		b = append(append(b, l...), "\r\n"...)
	}
	return b
}

// say gives the manner's reply at a point, or usual, and reports errEnd when
// the conversation is over.
func (s *session) say(at, usual string) error { return s.tell(at, s.decide(at, usual)) }

// decide gives the reply to be told at a point: once for each, since chance
// may have its say.
func (s *session) decide(at, usual string) string {
	m := s.r.current()
	if own, ok := m.Say[at]; ok {
		return own
	}
	if reply := m.Chance(at, s.r.chance); reply != "" {
		return reply
	}
	return usual
}

// tell gives a reply when its time has come; errors are as in say.
func (s *session) tell(at, reply string) error {
	m := s.r.current()
	if d := m.Pause(at, s.r.chance); d > 0 {
		s.out.Flush()
		if !Sleep(s.ctx, d) {
			return errEnd
		}
	}
	switch reply {
	case Drop:
		return errEnd
	case Stall:
		s.out.Flush()
		io.Copy(io.Discard, s.in)
		return errEnd
	}
	if reply[0] == '4' || reply[0] == '5' {
		s.r.note(true, nil)
	}
	s.write(reply)
	if strings.HasPrefix(reply, "421") {
		return errEnd
	}
	return nil
}

// agrees reports a reply that lets the client go on.
func agrees(reply string) bool { return reply[0] == '2' || reply[0] == '3' }

func (s *session) reset() { s.mail, s.m = false, Message{} }

func (s *session) command(line string) error {
	verb, arg, _ := strings.Cut(line, " ")
	m := s.r.current()
	switch strings.ToUpper(verb) {
	case "EHLO", "LHLO":
		s.reset()
		if m.HELOOnly || m.LMTP != strings.EqualFold(verb, "LHLO") {
			return s.say(AtEHLO, "502 5.5.1 Command not implemented")
		}
		return s.say(AtEHLO, s.greeting(&m))
	case "HELO":
		s.reset()
		return s.say(AtHELO, "250 "+s.r.Name)
	case "STARTTLS":
		return s.startTLS(&m)
	case "AUTH":
		s.auth(&m, arg)
	case "MAIL":
		return s.mailFrom(&m, arg)
	case "RCPT":
		return s.rcptTo(&m, arg)
	case "DATA":
		return s.data()
	case "BDAT":
		return s.bdat(arg)
	case "RSET":
		s.reset()
		s.write("250 2.0.0 Ok")
	case "NOOP":
		s.write("250 2.0.0 Ok")
	case "QUIT":
		s.write("221 2.0.0 Bye")
		return errEnd
	default:
		s.write("502 5.5.2 Command not recognized")
	}
	return nil
}

func (s *session) greeting(m *Manner) string {
	size := m.Size
	if size == 0 {
		size = 25 << 20
	}
	lines := []string{"250 " + s.r.Name}
	for _, k := range []string{"PIPELINING", "SIZE " + strconv.FormatInt(size, 10), "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES", "CHUNKING"} {
		word, _, _ := strings.Cut(k, " ")
		if !m.Without[word] {
			lines = append(lines, "250 "+k)
		}
	}
	if m.TLS != nil && !s.tls {
		lines = append(lines, "250 STARTTLS")
	}
	for _, k := range m.With {
		lines = append(lines, "250 "+k)
	}
	if m.User != "" && s.tls {
		lines = append(lines, "250 AUTH PLAIN")
	}
	return strings.Join(lines, "\n")
}

// auth takes AUTH PLAIN with an initial response (RFC 4616, RFC 4954), over TLS.
func (s *session) auth(m *Manner, arg string) {
	mechanism, initial, _ := strings.Cut(arg, " ")
	given, err := base64.StdEncoding.DecodeString(initial)
	switch {
	case m.User == "" || !s.tls || !strings.EqualFold(mechanism, "PLAIN"):
		s.write("504 5.5.4 Unrecognized authentication type")
	case err != nil || string(given) != "\x00"+m.User+"\x00"+m.Password:
		s.r.note(true, nil)
		s.write("535 5.7.8 Authentication credentials invalid")
	default:
		s.user = m.User
		s.write("235 2.7.0 Authentication successful")
	}
}

func (s *session) startTLS(m *Manner) error {
	if m.TLS == nil || s.tls {
		s.write("502 5.5.1 Command not implemented")
		return nil
	}
	reply := s.decide(AtStartTLS, "220 2.0.0 Ready to start TLS")
	if err := s.tell(AtStartTLS, reply); err != nil {
		return err
	}
	s.out.Flush()
	if !agrees(reply) {
		return nil
	}
	if m.TLSBroken {
		if _, err := s.in.ReadByte(); err != nil { // of the ClientHello; before it this would be an injection
			return errEnd
		}
		s.out.WriteString("this is no TLS\r\n")
		s.out.Flush()
		return errEnd
	}
	c := tls.Server(s.conn, m.TLS)
	if err := c.HandshakeContext(s.ctx); err != nil {
		return errEnd
	}
	s.reset()
	s.tls, s.conn = true, c
	s.in.Reset(c)
	s.out.Reset(c)
	return nil
}

func (s *session) mailFrom(m *Manner, arg string) error {
	if m.TLSRequired && !s.tls {
		s.r.note(true, nil)
		s.write("530 5.7.0 Must issue a STARTTLS command first")
		return nil
	}
	if m.User != "" && s.user == "" {
		s.r.note(true, nil)
		s.write("530 5.7.0 Authentication required")
		return nil
	}
	from, args, ok := path(arg, "FROM:")
	switch {
	case !ok:
		s.write("501 5.5.4 Syntax: MAIL FROM:<address>")
		return nil
	case s.mail:
		s.write("503 5.5.1 Nested MAIL command")
		return nil
	}
	if m.MaxMessages > 0 && s.taken >= m.MaxMessages {
		s.write("421 4.7.0 Too many messages on this connection")
		return errEnd
	}
	reply := s.decide(AtMail, "250 2.1.0 Ok")
	if s.mail = agrees(reply); s.mail {
		s.m = Message{Receiver: s.r.Name, From: from, MailArgs: args, TLS: s.tls, User: s.user}
	}
	return s.tell(AtMail, reply)
}

func (s *session) rcptTo(m *Manner, arg string) error {
	to, args, ok := path(arg, "TO:")
	switch {
	case !ok:
		s.write("501 5.5.4 Syntax: RCPT TO:<address>")
		return nil
	case !s.mail:
		s.write("503 5.5.1 Need MAIL before RCPT")
		return nil
	}
	local, _, _ := strings.Cut(to, "@")
	reply := s.r.judge(m, s.m.From, to, local)
	if m.MaxRcpt > 0 && len(s.m.To) >= m.MaxRcpt {
		reply = "452 4.5.3 Too many recipients"
	}
	if reply = s.decide(AtRcpt, reply); agrees(reply) {
		s.m.To, s.m.RcptArgs = append(s.m.To, to), append(s.m.RcptArgs, args)
	}
	return s.tell(AtRcpt, reply)
}

func (s *session) data() error {
	if !s.mail || len(s.m.To) == 0 {
		s.write("503 5.5.1 Need RCPT before DATA")
		return nil
	}
	reply := s.decide(AtData, "354 End data with <CR><LF>.<CR><LF>")
	if err := s.tell(AtData, reply); err != nil {
		return err
	}
	if !agrees(reply) {
		return nil
	}
	if err := s.out.Flush(); err != nil {
		return errEnd
	}
	var b bytes.Buffer
	for begin := true; ; {
		line, err := s.in.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return errEnd
		}
		if begin && string(line) == ".\r\n" {
			break
		}
		if begin && line[0] == '.' {
			line = line[1:]
		}
		begin = err == nil
		if b.Len() > maxData {
			return errEnd
		}
		b.Write(line)
	}
	s.m.Data = b.Bytes()
	return s.finish()
}

func (s *session) bdat(arg string) error {
	word, last, _ := strings.Cut(arg, " ")
	n, err := strconv.ParseInt(word, 10, 64)
	if err != nil || n < 0 || n > maxData {
		s.write("501 5.5.4 Bad chunk size")
		return errEnd
	}
	if len(s.m.Data)+int(n) > maxData {
		return errEnd
	}
	chunk := make([]byte, n)
	if _, err := io.ReadFull(s.in, chunk); err != nil {
		return errEnd
	}
	if !s.mail || len(s.m.To) == 0 {
		s.write("503 5.5.1 Need RCPT before BDAT")
		return nil
	}
	s.m.Data, s.m.Chunking = append(s.m.Data, chunk...), true
	if !strings.EqualFold(last, "LAST") {
		s.write(fmt.Sprintf("250 2.0.0 %d octets received", n))
		return nil
	}
	return s.finish()
}

// finish decides on a whole message.
func (s *session) finish() error {
	m := s.m
	s.reset()
	manner := s.r.current()
	reply := "250 2.0.0 Ok: taken"
	if s.r.unlucky(manner.TempFail) {
		reply = "451 4.3.0 Temporary trouble"
	}
	reply = s.decide(AtDot, reply)
	s.taken++
	if manner.LMTP {
		return s.finishEach(&m, &manner, reply)
	}
	if reply[0] == '2' || manner.Keep {
		m.At = time.Now()
		s.r.note(false, &m)
		if s.r.take != nil {
			s.r.take(m)
		}
	}
	return s.tell(AtDot, reply)
}

// finishEach is finish for LMTP: one reply for each recipient (RFC 2033 section
// 4.2).
func (s *session) finishEach(m *Message, manner *Manner, usual string) error {
	taken := *m
	taken.To, taken.RcptArgs, taken.At = nil, nil, time.Now()
	replies := make([]string, len(m.To))
	for i, to := range m.To {
		local, _, _ := strings.Cut(to, "@")
		replies[i] = usual
		if own, ok := manner.Last[local]; ok {
			replies[i] = own
		}
		if replies[i][0] == '2' {
			taken.To, taken.RcptArgs = append(taken.To, to), append(taken.RcptArgs, m.RcptArgs[i])
		}
	}
	if len(taken.To) > 0 {
		s.r.note(false, &taken)
		if s.r.take != nil {
			s.r.take(taken)
		}
	}
	for _, reply := range replies {
		if reply == Drop || reply == Stall {
			return errEnd
		}
		s.write(reply)
	}
	return nil
}

// path reads "FROM:<a@b> ARGS".
func path(arg, word string) (address, args string, ok bool) {
	if len(arg) < len(word) || !strings.EqualFold(arg[:len(word)], word) {
		return "", "", false
	}
	arg = strings.TrimLeft(arg[len(word):], " ")
	if !strings.HasPrefix(arg, "<") {
		return "", "", false
	}
	end := strings.LastIndexByte(arg, '>')
	if end < 0 {
		return "", "", false
	}
	return arg[1:end], strings.TrimSpace(arg[end+1:]), true
}
