package pop3

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"tenma/relay/mailbox"
	"tenma/relay/wire/sasl"
)

// mechanisms of AUTH, best first. LOGIN is not among them: whoever would use it
// uses USER and PASS.
func (s *session) mechanisms() []string { return sasl.Offered(s.s.deps.Auth, sasl.Login) }

// byPassword names logins by USER and PASS in log and metrics.
const byPassword = "USER"

// needTLS refuses a login in clear.
func (s *session) needTLS(verb string) error {
	if s.sock.TLS() != nil {
		return nil
	}
	s.log.Info("pop3: client wants to log in without TLS; its setting should be STARTTLS or SSL/TLS", "command", verb)
	return refuse("AUTH", "logins need TLS: say STLS first, or use the port of implicit TLS")
}

// userName never says whether there is such a user.
func (s *session) userName(name string) error {
	s.user, name = "", strings.TrimSpace(name)
	if err := s.needTLS("USER"); err != nil {
		return err
	}
	if name == "" {
		return refuse("", "a name is wanted")
	}
	s.user = name
	s.ok("and the password?")
	return nil
}

// pass takes all of the line after its first space: a password may have any
// character in it (RFC 1939 section 7).
func (s *session) pass(password string) error {
	user := s.user
	s.user = ""
	if err := s.needTLS("PASS"); err != nil {
		return err
	}
	if user == "" {
		return refuse("", "USER first")
	}
	account, err := s.s.deps.Auth.Plain(s.way(byPassword), s.client(), user, password)
	if err == nil {
		err = s.enter(account)
	}
	return s.welcome(byPassword, user, err)
}

// way tells the authenticator, whose log has the logins, by which way.
func (s *session) way(mech string) context.Context {
	return sasl.WithWay(s.ctx, sasl.Way{Listener: s.name, Mechanism: mech})
}

// auth is RFC 5034. Without an argument it lists mechanisms, as servers did
// before there was CAPA.
func (s *session) auth(arg string) error {
	if err := s.needTLS("AUTH"); err != nil {
		return err
	}
	words := strings.Fields(arg)
	if len(words) == 0 {
		s.ok("mechanisms follow")
		return errors.Join(s.more("%s", strings.Join(s.mechanisms(), "\r\n")), s.more("."))
	}
	if len(words) > 2 {
		return refuse("", "AUTH takes a mechanism and an initial response")
	}
	mech := strings.ToUpper(words[0])
	var user string
	ctx := s.way(mech)
	x, err := sasl.New(mech, sasl.Asker{
		Plain: func(name, password string) (string, error) {
			user = name
			return s.s.deps.Auth.Plain(ctx, s.client(), name, password)
		},
		Keys: func(name string) (sasl.ScramKeys, bool, error) {
			user = name
			return s.s.deps.Auth.ScramSHA256(name)
		},
		Proved: func(name string, good bool) (string, error) {
			return s.s.deps.Auth.ScramDone(ctx, s.client(), name, good)
		},
		LoggedIn: s.enter,
	})
	if err != nil || mech == sasl.Login {
		return refuse("", "unknown mechanism")
	}
	defer x.Cancel()
	var response []byte
	if len(words) > 1 {
		if response, err = initial(words[1]); err != nil {
			return refuse("", "not base64")
		}
	}
	for {
		challenge, done, err := x.Next(response)
		if done || err != nil {
			return s.welcome(mech, user, err)
		}
		if response, err = s.ask(challenge); err != nil {
			return err
		}
	}
}

// initial decodes an initial response; "=" is one that is empty (RFC 5034
// section 4).
func initial(word string) ([]byte, error) {
	if word == "=" {
		return []byte{}, nil
	}
	return base64.StdEncoding.DecodeString(word)
}

// ask sends a challenge and reads the response.
func (s *session) ask(challenge []byte) ([]byte, error) {
	b := base64.StdEncoding.AppendEncode([]byte("+ "), challenge)
	if err := s.c.write(append(b, "\r\n"...)); err != nil {
		return nil, err
	}
	line, err := s.c.line(maxSASL, s.deadline)
	if err != nil {
		return nil, err
	}
	if string(line) == "*" {
		return nil, refuse("", "given up, as you wish")
	}
	response := make([]byte, base64.StdEncoding.DecodedLen(len(line)))
	n, err := base64.StdEncoding.Decode(response, line)
	if err != nil {
		return nil, refuse("", "not base64")
	}
	return response[:n], nil
}

// enter opens the maildrop of someone who has proved who it is. Its errors are
// refusals.
func (s *session) enter(account string) error {
	delay := s.s.cfg.Load().LoginDelay
	if s.s.logins.tooSoon(account, delay) {
		return refuse("LOGIN-DELAY", "too soon after the last login")
	}
	v, closing, err := s.open(account)
	switch {
	case err == nil:
		s.account, s.drop = account, newMaildrop(v, closing)
		s.s.logins.note(account, delay)
		return nil
	case errors.Is(err, mailbox.ErrInUse):
		return refuse("IN-USE", "another POP3 session has the mailbox open")
	case errors.Is(err, mailbox.ErrNoAccount):
		s.log.Error("pop3: mailbox cannot be opened", "account", account, "error", err)
		return refuse("SYS/PERM", "there is no mailbox")
	}
	s.log.Error("pop3: mailbox cannot be opened", "account", account, "error", err)
	return refuse("SYS/TEMP", "the mailbox cannot be opened now")
}

// lockTime is how long a login waits for another session of the account to end: a
// client whose connection broke comes again before we have noticed that.
const lockTime = 5 * time.Second

// open gives the INBOX of an account, locked.
func (s *session) open(account string) (v view, closing func(), err error) {
	for until := time.Now().Add(lockTime); ; {
		v, closing, err = s.s.open(account)
		if !errors.Is(err, mailbox.ErrInUse) || !time.Now().Before(until) {
			return v, closing, err
		}
		select {
		case <-time.After(lockTime / 20):
		case <-s.sock.Draining():
			return nil, nil, err
		}
	}
}

// welcome answers a login. Whatever is wrong with a name or password, the
// client hears the same.
func (s *session) welcome(mech, user string, err error) error {
	count := func(result string) {
		s.s.deps.Metrics.Logins.WithLabelValues(s.name, mech, result).Inc()
	}
	var r *refusal
	switch {
	case err == nil:
		count("good")
		s.log.Debug("pop3: mailbox open", "account", s.account, "mechanism", mech, "messages", s.drop.count, "octets", s.drop.octets)
		s.ok("%d messages (%d octets)", s.drop.count, s.drop.octets)
		return nil
	case errors.As(err, &r):
		count("error")
		s.log.Info("pop3: login refused", "user", user, "mechanism", mech, "why", r)
		return r
	case sasl.Temporary(err):
		count("error")
		s.log.Warn("pop3: login could not be judged", "user", user, "mechanism", mech, "error", err)
		return refuse("SYS/TEMP", "try again later") // RFC 3206 section 4
	}
	count("failed")
	s.log.Debug("pop3: login failed", "user", user, "mechanism", mech, "error", err)
	return refuse("AUTH", "authentication failed") // RFC 3206 section 5
}

// stls is RFC 2595 section 4.
func (s *session) stls(string) error {
	switch {
	case s.sock.TLS() != nil:
		return refuse("", "TLS is on already")
	case !s.sock.CanStartTLS():
		return refuse("", "TLS is not offered here")
	case len(s.c.peek()) > 0:
		// Somebody between us may have said them, in clear, to be taken for
		// the client's under TLS.
		s.log.Warn("pop3: commands behind STLS in clear")
		return errInjection
	}
	s.ok("begin TLS")
	if err := s.c.flush(); err != nil {
		return err
	}
	if err := s.sock.StartTLS(); err != nil {
		s.log.Info("pop3: TLS handshake failed", "error", err)
		return err
	}
	return nil
}

var errInjection = errors.New("commands behind STLS in clear")
