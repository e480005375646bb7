package imap

import (
	"context"
	"errors"

	gosasl "github.com/emersion/go-sasl"

	"tenma/relay/wire/sasl"
)

// mechLogin is the LOGIN command in counts and in the log.
const mechLogin = "LOGIN command"

// Login is the LOGIN command (RFC 9051 section 6.2.3). The front has seen to TLS.
func (s *session) Login(user, password string) error {
	account, err := s.l.s.deps.Auth.Plain(s.way(mechLogin), s.client(), user, password)
	if err == nil {
		err = s.loggedIn(account)
	}
	return s.loginDone(mechLogin, err)
}

// way tells the authenticator, whose log has the logins, by which way.
func (s *session) way(mech string) context.Context {
	return sasl.WithWay(s.l.s.work, sasl.Way{Listener: s.l.cfg.Address, Mechanism: mech})
}

// AuthenticateMechanisms are those that are offered.
func (s *session) AuthenticateMechanisms() []string { return sasl.Offered(s.l.s.deps.Auth, sasl.Login) }

// Authenticate begins a SASL exchange (RFC 9051 section 6.2.2).
func (s *session) Authenticate(mech string) (gosasl.Server, error) {
	if mech == sasl.Login { // SMTP's old one; nothing that speaks IMAP needs it
		return nil, no("", "This mechanism is not offered: use SCRAM-SHA-256 or PLAIN").library()
	}
	auth, ctx := s.l.s.deps.Auth, s.way(mech)
	x, err := sasl.New(mech, sasl.Asker{
		Plain: func(user, password string) (string, error) {
			return auth.Plain(ctx, s.client(), user, password)
		},
		Keys: auth.ScramSHA256,
		Proved: func(user string, good bool) (string, error) {
			return auth.ScramDone(ctx, s.client(), user, good)
		},
		LoggedIn: s.loggedIn,
	})
	if err != nil {
		return nil, no("", "This mechanism is not offered: use SCRAM-SHA-256 or PLAIN").library()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.exchange != nil {
		s.exchange.Cancel() // the client gave it up
	}
	s.exchange = x
	return &exchange{s, x, mech}, nil
}

// exchange is a login as the library carries it.
type exchange struct {
	s    *session
	x    *sasl.Exchange
	mech string
}

func (x *exchange) Next(response []byte) (challenge []byte, done bool, err error) {
	challenge, done, err = x.x.Next(response)
	if err != nil || done {
		return nil, done, x.s.loginDone(x.mech, err)
	}
	if len(challenge) == 0 {
		challenge = nil // the library would write "=" for an empty one, which is for responses only
	}
	return challenge, false, nil
}

// loggedIn opens the mailbox of who has logged in.
func (s *session) loggedIn(account string) error {
	box, err := s.l.s.deps.Mailboxes.Open(account)
	if err != nil {
		return &boxError{account, err}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.account, s.box = account, box
	return nil
}

// boxError is a good login that found no mailbox.
type boxError struct {
	account string
	err     error
}

func (e *boxError) Error() string {
	return "opening the mailbox of " + e.account + ": " + e.err.Error()
}
func (e *boxError) Unwrap() error { return e.err }

// loginDone counts how a login ended, logs what the authenticator does not know
// of, and gives what the client hears:
// the same of every login that failed (RFC 5530 section 3).
func (s *session) loginDone(mech string, err error) error {
	count := func(result string) {
		s.l.s.deps.Metrics.Logins.WithLabelValues(s.l.cfg.Address, mech, result).Inc()
	}
	var box *boxError
	switch {
	case err == nil:
		count("good")
		s.log().Debug("imap session has logged in", "mechanism", mech)
		return nil
	case errors.As(err, &box):
		count("error")
		s.log().Error("imap login was good, the mailbox cannot be opened", "mechanism", mech, "error", err)
		return no("UNAVAILABLE", "Your mailbox cannot be opened at the moment: try again in some minutes").library()
	case sasl.Temporary(err):
		count("error")
		s.log().Warn("imap login could not be judged", "mechanism", mech, "error", err)
		return no("UNAVAILABLE", "Logins cannot be checked at the moment, or there were too many wrong ones: try again in some minutes").library()
	}
	count("failed")
	s.log().Debug("imap login failed", "mechanism", mech, "error", err)
	return no("AUTHENTICATIONFAILED", "Wrong name or password").library()
}
