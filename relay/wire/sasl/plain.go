package sasl

import (
	"errors"

	gosasl "github.com/emersion/go-sasl"
)

var errIdentity = errors.New("nobody acts for another here")

// plainServer is PLAIN: one message brings everything.
type plainServer struct {
	inner   gosasl.Server
	account string
}

func newPlain(ask Asker) *plainServer {
	p := &plainServer{}
	p.inner = gosasl.NewPlainServer(func(identity, user, password string) (err error) {
		if identity != "" && identity != user {
			return errIdentity
		}
		p.account, err = ask.Plain(user, password)
		return err
	})
	return p
}

func (p *plainServer) next(response []byte) (challenge []byte, account string, done bool, err error) {
	challenge, done, err = p.inner.Next(response)
	return challenge, p.account, done, err
}

func (p *plainServer) cancel() {}

// loginServer is LOGIN: it asks for one, then the other.
type loginServer struct {
	ask   Asker
	user  string
	named bool
}

func (l *loginServer) next(response []byte) (challenge []byte, account string, done bool, err error) {
	switch {
	case !l.named && response == nil:
		return []byte("Username:"), "", false, nil
	case !l.named:
		l.user, l.named = string(response), true
		return []byte("Password:"), "", false, nil
	}
	account, err = l.ask.Plain(l.user, string(response))
	return nil, account, err == nil, err
}

func (l *loginServer) cancel() {}
