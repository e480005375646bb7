package sasl

import (
	"errors"
	"fmt"
	"slices"

	gosasl "github.com/emersion/go-sasl"

	"tenma/relay/wire/smtp"
)

// Names of the mechanisms, as clients spell them.
const (
	Scram = "SCRAM-SHA-256" // RFC 7677
	Plain = "PLAIN"         // RFC 4616
	Login = "LOGIN"         // draft-murchison-sasl-login; old, and still common with SMTP
)

// Mechanisms are all that New knows, best first.
func Mechanisms() []string { return []string{Scram, Plain, Login} }

// Offered are the mechanisms to offer for an authenticator, best first, without
// those of except: all, or what its method Mechanisms() says. SCRAM needs keys
// that a directory of somebody else's does not give away, and a client that sees
// it tries nothing else.
func Offered(authenticator any, except ...string) []string {
	all := Mechanisms()
	if some, ok := authenticator.(interface{ Mechanisms() []string }); ok {
		all = some.Mechanisms()
	}
	return slices.DeleteFunc(slices.Clone(all), func(m string) bool { return slices.Contains(except, m) })
}

// ErrMechanism is a mechanism that is not known here.
var ErrMechanism = errors.New("sasl: unknown mechanism")

// ErrFailed is a login that failed: a wrong name or password, or an exchange that
// went wrong or was given up. The client hears the same of all of them; what is
// wrapped beside it is for the operator.
var ErrFailed = errors.New("sasl: login failed")

// Asker is how an exchange learns what it cannot know. An error of Plain, Keys or
// Proved that is or wraps *smtp.Error comes out of Exchange.Next as it is, since
// it may say that a login could not be judged now; any other comes out wrapped
// with ErrFailed.
type Asker struct {
	// Plain checks a name and password and gives the account.
	Plain func(user, password string) (account string, err error)
	// Keys gives the keys of user; for an unknown user, fake ones that are the
	// same at every call. The exchange then fails at its end, where it fails
	// with a wrong password too.
	Keys func(user string) (keys ScramKeys, known bool, err error)
	// Proved hears how an exchange ended for which Keys gave keys, exactly once
	// each, given up ones included, and has the last word on the good ones.
	Proved func(user string, good bool) (account string, err error)
	// LoggedIn is called last, when an exchange has come to a good end: its error
	// comes out of Next as it is, and no login has happened. nil: always well.
	LoggedIn func(account string) error
}

// Temporary reports that err, of an exchange or of an Authenticator, says
// that a login could not be judged now, rather than that it is wrong: it is or wraps
// an *smtp.Error with a 4yz code.
func Temporary(err error) bool {
	var e *smtp.Error
	return errors.As(err, &e) && e.Reply.Code/100 == 4
}

// Exchange is one login by one mechanism, the server's side. It is a
// gosasl.Server, the form in which go-smtp and go-imap take it, that can be
// given up besides. One goroutine uses it.
type Exchange struct {
	ask   Asker
	mech  mechanism
	ended bool
}

// mechanism is one mechanism's part. A step gives the account when it is done;
// its errors are those of Next, but for the wrapping with ErrFailed.
type mechanism interface {
	next(response []byte) (challenge []byte, account string, done bool, err error)
	cancel()
}

// New begins an exchange. mech is in upper case (RFC 4422 section 3.1); its only
// error is ErrMechanism.
func New(mech string, ask Asker) (*Exchange, error) {
	x := &Exchange{ask: ask}
	switch mech {
	case Scram:
		x.mech = &scramServer{ask: ask}
	case Plain:
		x.mech = newPlain(ask)
	case Login:
		x.mech = &loginServer{ask: ask}
	default:
		return nil, ErrMechanism
	}
	return x, nil
}

// Next takes the client's response, nil if it sent none with its command, and
// gives the challenge to send, unless done or err says that it is over. The
// errors: one that is or wraps *smtp.Error of the Asker, what LoggedIn gave, or
// one that wraps ErrFailed.
func (x *Exchange) Next(response []byte) (challenge []byte, done bool, err error) {
	if x.ended {
		return nil, false, fmt.Errorf("%w: the exchange is over", ErrFailed)
	}
	challenge, account, done, err := x.mech.next(response)
	if err != nil {
		x.Cancel()
		return nil, false, failed(err)
	}
	if !done {
		return challenge, false, nil
	}
	x.ended = true
	if x.ask.LoggedIn != nil {
		if err := x.ask.LoggedIn(account); err != nil {
			return nil, false, err
		}
	}
	return nil, true, nil
}

// Cancel is for an exchange that the client gave up ("*"), or that ended with
// the connection, and harmless for any other.
func (x *Exchange) Cancel() {
	if !x.ended {
		x.ended = true
		x.mech.cancel()
	}
}

func failed(err error) error {
	var e *smtp.Error
	if errors.As(err, &e) || errors.Is(err, ErrFailed) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrFailed, err)
}

var _ gosasl.Server = (*Exchange)(nil)
