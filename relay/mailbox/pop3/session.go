package pop3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"tenma/relay/door"
)

// Bounds of a session.
const (
	// loginTime is for all of AUTHORIZATION. A person types a password before
	// the program connects.
	loginTime = time.Minute
	// maxEarly is how many commands there may be before the login. A usual
	// client needs eight: CAPA, STLS, CAPA, AUTH and its responses, or USER, PASS.
	maxEarly = 40
	// maxBad is how many commands may be refused, in a row once logged in.
	maxBad = 20
)

// errQuit ends a session as the client wants it.
var errQuit = errors.New("the client has quit")

// session is one conversation. One goroutine uses it.
type session struct {
	s    *Server
	name string // of the listener
	sock socket
	c    *conn
	ctx  context.Context // of commands; its end is not that of the session
	log  *slog.Logger

	deadline time.Time // of the login
	maxIdle  time.Duration

	early, bad int
	user       string // of a USER just before
	account    string
	drop       *maildrop // nil before the login
}

// refusal is what a client hears after -ERR. code is a response code (RFC 2449
// section 8) or empty.
type refusal struct{ code, text string }

func (r *refusal) Error() string {
	if r.code == "" {
		return r.text
	}
	return "[" + r.code + "] " + r.text
}

func refuse(code, text string) error { return &refusal{code, text} }

// serve holds the conversation.
func (s *session) serve() {
	defer s.leave() // also after a panic: a mailbox must not stay locked
	s.ok("%s POP3 server ready", s.s.cfg.Load().Hostname)
	err := s.first()
	for err == nil {
		var line []byte
		if line, err = s.c.line(0, s.until()); err == nil {
			err = s.command(line)
		}
	}
	s.leave() // before the client hears of the end: it may come again at once
	s.goodbye(err)
}

// first waits for the client's first octets, and looks whether they are POP3.
func (s *session) first() error {
	if err := s.c.fill(s.until()); err != nil {
		return err
	}
	if s.sock.TLS() == nil && door.LooksLikeTLS(s.c.peek()) {
		s.sock.WrongTLS()
		return errForeign
	}
	return nil
}

// until is when the next command must have come.
func (s *session) until() time.Time {
	if s.drop == nil {
		return s.deadline
	}
	return time.Now().Add(s.maxIdle)
}

// goodbye says why the session ends, where the protocol has a word for it. After a
// silence it has none (RFC 1939 section 3).
func (s *session) goodbye(why error) {
	s.log.Debug("pop3: session ends", "why", why)
	switch {
	case errors.Is(why, door.ErrDraining):
		s.err(refuse("SYS/TEMP", "the server is shutting down"))
	case errors.Is(why, errLong):
		s.err(refuse("", "line too long"))
	case errors.Is(why, errQuit), errors.Is(why, errTooMany):
	default:
		return // nobody is left to be told, or it would look like the rest of a message
	}
	if s.c.flush() == nil {
		s.sock.Linger()
	}
}

// leave gives back what the session holds. It deletes nothing: QUIT did, or nothing
// is to be deleted.
func (s *session) leave() {
	if s.drop == nil {
		return
	}
	if err := s.drop.remember(s.ctx); err != nil {
		s.log.Warn("pop3: what was fetched could not be marked", "account", s.account, "error", err)
	}
	s.drop.close()
	s.drop = nil
}

// command does one. Its errors end the session.
func (s *session) command(line []byte) error {
	verb, arg, _ := strings.Cut(string(line), " ")
	verb = strings.ToUpper(verb)
	cmd, known := commands[verb]
	err := refuse("", "unknown command")
	switch {
	case bytes.IndexByte(line, 0) >= 0:
		err = refuse("", "NUL in a command")
	case known && s.drop == nil && !cmd.early:
		err = refuse("", "log in first")
	case known && s.drop != nil && !cmd.late:
		err = refuse("", "already logged in")
	case known:
		if verb != "PASS" && verb != "USER" {
			s.user = "" // PASS follows USER at once (RFC 1939 section 7)
		}
		err = cmd.run(s, arg)
	}
	if !known {
		verb = "other" // what strangers type is no label
	}
	return s.answer(verb, err)
}

// answer counts a command and says -ERR if it was refused.
func (s *session) answer(verb string, err error) error {
	var r *refusal
	refused := errors.As(err, &r)
	switch {
	case err == nil || errors.Is(err, errQuit) && !refused:
		s.s.deps.Metrics.Commands.WithLabelValues(s.name, verb, "ok").Inc()
		if s.drop != nil {
			s.bad = 0
		} else if s.early++; s.early > maxEarly {
			return errTooMany
		}
		return err
	case !refused:
		return err
	}
	s.s.deps.Metrics.Commands.WithLabelValues(s.name, verb, "err").Inc()
	s.err(r)
	if errors.Is(err, errQuit) {
		return errQuit
	}
	if s.bad++; s.bad > maxBad {
		return errTooMany
	}
	return nil
}

var (
	errTooMany = errors.New("too many commands that lead to nothing")
	errForeign = errors.New("the client speaks no POP3")
)

// ok says a positive reply.
func (s *session) ok(format string, args ...any) {
	var b [128]byte
	s.c.reply(append(fmt.Appendf(append(b[:0], "+OK "...), format, args...), "\r\n"...))
}

// err says a negative one.
func (s *session) err(e error) {
	var b [128]byte
	s.c.reply(fmt.Appendf(b[:0], "-ERR %s\r\n", e))
}

// more says one line of a multi-line reply; none begins with a dot.
func (s *session) more(format string, args ...any) error {
	var b [128]byte
	return s.c.write(append(fmt.Appendf(b[:0], format, args...), "\r\n"...))
}

// client is the peer's address, for the Authenticator.
func (s *session) client() net.Addr { return net.TCPAddrFromAddrPort(s.sock.Client()) }
