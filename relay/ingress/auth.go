package ingress

import (
	"errors"
	"net"

	gosasl "github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"

	"tenma/relay/mail"
	"tenma/relay/wire/sasl"
	"tenma/relay/wire/smtp"
)

// AuthMechanisms are those that EHLO offers. Without TLS the front hides them
// and refuses AUTH.
func (s *session) AuthMechanisms() []string {
	if s.door.s.deps.Auth == nil || s.door.config().Auth == AuthOff && !s.door.config().Submission {
		return nil
	}
	return sasl.Offered(s.door.s.deps.Auth)
}

// Auth begins an exchange.
func (s *session) Auth(mech string) (gosasl.Server, error) {
	switch {
	case s.conn.TLS() == nil: // the front has seen to it; this is for the day it does not
		return nil, reply(smtp.Errorf(538, smtp.Status{5, 7, 11}, "encryption required for AUTH"))
	case len(s.AuthMechanisms()) == 0:
		return nil, reply(smtp.Errorf(502, smtp.Status{5, 5, 1}, "AUTH is not offered"))
	case s.env != nil: // RFC 4954 section 4
		return nil, reply(smtp.Errorf(503, smtp.Status{5, 5, 1}, "not during a mail transaction"))
	}
	s.giveUp()
	auth, client := s.door.s.deps.Auth, net.TCPAddrFromAddrPort(s.conn.Client())
	ctx := sasl.WithWay(s.door.s.work, sasl.Way{Listener: s.door.config().Address, Mechanism: mech})
	ex, err := sasl.New(mech, sasl.Asker{
		Plain: func(user, password string) (string, error) { return auth.Plain(ctx, client, user, password) },
		Keys:  auth.ScramSHA256,
		Proved: func(user string, good bool) (string, error) {
			return auth.ScramDone(ctx, client, user, good)
		},
		LoggedIn: s.loggedIn,
	})
	if err != nil {
		return nil, reply(smtp.Errorf(504, smtp.Status{5, 5, 4}, "unknown AUTH mechanism"))
	}
	s.login = ex
	return &exchange{s: s, mech: mech, inner: ex}, nil
}

// giveUp ends an exchange that the client has left unfinished, which go-smtp
// does not tell of.
func (s *session) giveUp() {
	if s.login != nil {
		s.login.Cancel()
		s.login = nil
	}
}

func (s *session) loggedIn(account string) error {
	s.account = account
	s.conn.Vouch()
	return nil
}

// exchange counts and answers for another mechanism: whatever is wrong with a
// login, the client hears the same 535 (RFC 4954 section 6), unless the
// Authenticator has a reply of its own.
type exchange struct {
	s     *session
	mech  string
	inner gosasl.Server
}

func (x *exchange) Next(response []byte) (challenge []byte, done bool, err error) {
	challenge, done, err = x.inner.Next(response)
	count := func(result string) {
		x.s.door.s.deps.Metrics.Auth.WithLabelValues(x.s.door.config().Address, x.mech, result).Inc()
	}
	if err == nil {
		if done {
			count("good")
		}
		return challenge, done, nil
	}
	env := &mail.Envelope{
		Listener: x.s.door.config().Address, Client: x.s.conn.Client(),
		HELO: clean(x.s.smtp.Hostname()), Session: x.s.id,
	}
	var e *smtp.Error
	if errors.As(err, &e) {
		count("error")
		return nil, false, x.s.refuse("AUTH", env, e)
	}
	count("failed")
	return nil, false, x.s.refuse("AUTH", env, smtp.Errorf(535, smtp.Status{5, 7, 8}, "authentication failed"))
}

var _ gosmtp.AuthSession = (*session)(nil)
