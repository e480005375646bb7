package ingress

import (
	"cmp"
	"errors"
	"net"

	gosasl "github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"
	"github.com/xdg-go/scram"

	"tenma/relay/mail"
	"tenma/relay/wire/sasl"
	"tenma/relay/wire/smtp"
)

// Mechanisms of AUTH (RFC 4954), best first.
const (
	mechScram = "SCRAM-SHA-256" // RFC 7677
	mechPlain = "PLAIN"         // RFC 4616
	mechLogin = "LOGIN"         // draft-murchison-sasl-login; old, and still common
)

var errLogin = errors.New("login failed")

// AuthMechanisms are those that EHLO offers. Without TLS the front hides them
// and refuses AUTH.
func (s *session) AuthMechanisms() []string {
	if s.door.s.deps.Auth == nil || s.door.config().Auth == AuthOff && !s.door.config().Submission {
		return nil
	}
	return []string{mechScram, mechPlain, mechLogin}
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
	var ex gosasl.Server
	switch mech {
	case mechPlain:
		ex = gosasl.NewPlainServer(func(identity, user, password string) error {
			if identity != "" && identity != user {
				return errLogin // nobody acts for another here
			}
			return s.password(user, password)
		})
	case mechLogin:
		ex = &loginServer{check: s.password}
	case mechScram:
		ex = &scramServer{keys: s.door.s.deps.Auth.ScramSHA256, proved: s.proved, good: s.loggedIn}
	default:
		return nil, reply(smtp.Errorf(504, smtp.Status{5, 5, 4}, "unknown AUTH mechanism"))
	}
	return &exchange{s: s, mech: mech, inner: ex}, nil
}

func (s *session) password(user, password string) error {
	account, err := s.door.s.deps.Auth.Plain(s.door.s.work, net.TCPAddrFromAddrPort(s.conn.Client()), user, password)
	if err != nil {
		return err
	}
	s.loggedIn(account)
	return nil
}

// proved reports the end of a SCRAM exchange.
func (s *session) proved(user string, good bool) (account string, err error) {
	return s.door.s.deps.Auth.ScramDone(s.door.s.work, net.TCPAddrFromAddrPort(s.conn.Client()), user, good)
}

func (s *session) loggedIn(account string) {
	s.account = account
	s.conn.Vouch()
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

// loginServer is the server's side of LOGIN: it asks for one, then the other.
type loginServer struct {
	user  []byte
	asked bool
	check func(user, password string) error
}

func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	switch {
	case l.user == nil && response == nil:
		return []byte("Username:"), false, nil
	case !l.asked:
		l.user, l.asked = append([]byte{}, response...), true
		return []byte("Password:"), false, nil
	}
	if err := l.check(string(l.user), string(response)); err != nil {
		return nil, false, err
	}
	return nil, true, nil
}

// scramServer is the server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677),
// without channel binding.
type scramServer struct {
	keys   func(user string) (sasl.ScramKeys, bool, error)
	proved func(user string, good bool) (account string, err error)
	good   func(account string)

	conv    *scram.ServerConversation
	known   bool
	asked   bool // keys was called: there is an exchange to report
	user    string
	account string // set when the proof was good; the client has still to say that it saw ours
}

func (v *scramServer) Next(response []byte) (challenge []byte, done bool, err error) {
	if v.account != "" {
		if len(response) != 0 {
			return nil, false, errLogin
		}
		v.good(v.account)
		return nil, true, nil
	}
	if v.conv == nil {
		if response == nil { // no initial response: the client speaks first all the same
			return []byte{}, false, nil
		}
		if err := v.begin(); err != nil {
			return nil, false, err
		}
	}
	answer, err := v.conv.Step(string(response))
	if err != nil {
		var e *smtp.Error
		if errors.As(err, &e) { // of the Authenticator
			return nil, false, e
		}
		if v.asked {
			if _, err := v.proved(v.user, false); err != nil {
				return nil, false, err
			}
		}
		return nil, false, errLogin
	}
	if v.conv.Done() {
		good := v.conv.Valid() && v.known && (v.conv.AuthzID() == "" || v.conv.AuthzID() == v.user)
		account, err := v.proved(v.user, good)
		if err != nil || !good {
			return nil, false, cmp.Or(err, errLogin)
		}
		v.account = account
	}
	return []byte(answer), false, nil
}

func (v *scramServer) begin() error {
	server, err := scram.SHA256.NewServer(func(user string) (scram.StoredCredentials, error) {
		k, known, err := v.keys(user)
		if err != nil {
			return scram.StoredCredentials{}, err
		}
		v.known, v.user, v.asked = known, user, true
		return scram.StoredCredentials{
			KeyFactors: scram.KeyFactors{Salt: string(k.Salt), Iters: k.Iterations},
			StoredKey:  k.StoredKey, ServerKey: k.ServerKey,
		}, nil
	})
	if err != nil {
		return err
	}
	v.conv = server.NewConversation()
	return nil
}

var _ gosmtp.AuthSession = (*session)(nil)
