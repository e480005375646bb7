package auth

import (
	"context"
	"errors"
	"net"
	"time"

	"tenma/relay/policy/auth/external"
	"tenma/relay/wire/sasl"
	"tenma/relay/wire/smtp"
)

// failAfter is when a failed login is answered, counted from its start: the
// same for a wrong password, an unknown user and a client that is held off,
// and slow enough to make guessing dull.
const failAfter = time.Second

// ErrLogin is every login that fails. It does not say why, since what it says
// the client hears.
var ErrLogin = errors.New("login failed")

// Plain is Service("smtp").Plain.
func (d *Directory) Plain(ctx context.Context, client net.Addr, user, password string) (account string, err error) {
	return d.Service("smtp").Plain(ctx, client, user, password)
}

// ScramSHA256 is Service("smtp").ScramSHA256.
func (d *Directory) ScramSHA256(user string) (keys sasl.ScramKeys, known bool, err error) {
	return d.Service("smtp").ScramSHA256(user)
}

// ScramDone is Service("smtp").ScramDone.
func (d *Directory) ScramDone(ctx context.Context, client net.Addr, user string, good bool) (account string, err error) {
	return d.Service("smtp").ScramDone(ctx, client, user, good)
}

// Plain checks a name and password, as PLAIN, LOGIN and the commands of IMAP and
// POP3 bring them, and gives the account. client is the peer's address. The
// password is the account's, or one of its app passwords. Its errors are ErrLogin,
// an *smtp.Error 454 when there is too much hashing to do or an external source
// cannot be asked, or the context's.
func (s *Service) Plain(ctx context.Context, client net.Addr, user, password string) (account string, err error) {
	v := s.visit(client, user)
	g := &s.d.guard
	key := g.loginKey(v.name, client, password)
	switch {
	case v.hash() != "" && v.appName == "" && g.remembers(key, v.hash(), v.start):
		return v.succeed(ctx, nil, false)
	case g.heldOff(client, v.name, v.start):
		return "", v.fail(ctx, held, "", false)
	case len(password) > MaxPassword:
		return "", v.refuse(ctx, "", true)
	}
	if v.acc != nil {
		if app := v.acc.app(v.appName, password); app != nil {
			return v.succeed(ctx, app, true)
		}
	}
	hint := ""
	ago, again := g.wrongBefore(key, v.hash(), v.start)
	if again {
		hint = "the same as before: some device may still have an old password"
	}
	// Outside, the password may have become this one meanwhile.
	if again && (v.source == nil || ago < rememberFor) {
		return "", v.refuse(ctx, hint, false)
	}
	good, err := g.flights.once(ctx, g.digest("flight", string(key[:]), v.hash(), v.appName), func() (bool, error) { return v.verify(ctx, password) })
	switch {
	case err != nil:
		return "", err
	case !good:
		g.wrong.put(key, login{hash: v.hash(), at: time.Now()})
		return "", v.refuse(ctx, hint, !again)
	}
	g.remember(key, v.hash(), time.Now())
	return v.succeed(ctx, nil, true)
}

// verify checks the main password, here or outside.
func (v *visit) verify(ctx context.Context, password string) (good bool, err error) {
	if v.appName != "" {
		return false, nil // app was asked, and it was none
	}
	if v.source != nil {
		err := v.source.Verify(ctx, v.address, password)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, external.ErrRefused):
			return false, nil
		case ctx.Err() != nil:
			return false, ctx.Err()
		}
		v.d.log.Warn("login put off", "protocol", v.protocol, "client", clientText(v.client), "user", printable(v.typed), "err", err)
		return false, smtp.Errorf(454, smtp.Status{4, 7, 0}, "Temporary authentication failure")
	}
	leave, err := v.d.guard.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	return v.accounts.verify(v.acc, password, v.d.cost), nil
}

// verify hashes the password once, whether or not there is an account.
func (s *snapshot) verify(acc *account, password string, c Cost) bool {
	if acc != nil && acc.text != "" {
		return acc.hash.matches(password)
	}
	nobody := hash{memory: c.Memory, time: c.Time, threads: c.Threads, salt: make([]byte, saltLen), sum: make([]byte, hashLen)}
	if s.model != nil { // as costly as a real one
		h := s.model.hash
		nobody.memory, nobody.time, nobody.threads = h.memory, h.time, h.threads
	}
	nobody.matches(password)
	return false
}

// fail waits until it is time to say no.
func fail(ctx context.Context, start time.Time) error {
	t := time.NewTimer(time.Until(start.Add(failAfter)))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	return ErrLogin
}
