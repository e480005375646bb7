package auth

import (
	"context"
	"errors"
	"net"
	"time"

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

// Plain checks a name and password, as PLAIN and LOGIN bring them, and gives
// the account. client is the peer's address. Its errors are ErrLogin, an
// *smtp.Error 454 when there is too much hashing to do, or the context's.
func (d *Directory) Plain(ctx context.Context, client net.Addr, user, password string) (string, error) {
	start := time.Now()
	s := d.current()
	name := userName(user)
	acc := s.accounts[name]
	key := d.guard.loginKey(name, client, password)
	if acc != nil && d.guard.remembers(key, acc.text, start) {
		return acc.name, nil
	}
	if d.guard.heldOff(client, name, start) || len(password) > MaxPassword {
		return "", fail(ctx, start)
	}
	leave, err := d.guard.enter(ctx)
	if err != nil {
		return "", err
	}
	known := s.verify(acc, password, d.cost)
	leave()
	if !known {
		d.guard.failed(client, name, time.Now())
		return "", fail(ctx, start)
	}
	d.guard.succeeded(client, name, time.Now())
	d.guard.remember(key, acc.text, time.Now())
	return acc.name, nil
}

// verify hashes the password once, whether or not there is an account.
func (s *snapshot) verify(acc *account, password string, c Cost) bool {
	if acc != nil {
		return acc.hash.matches(password)
	}
	nobody := hash{memory: c.Memory, time: c.Time, threads: c.Threads, salt: make([]byte, saltLen), sum: make([]byte, hashLen)}
	if len(s.order) > 0 { // as costly as a real one
		h := s.order[0].hash
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

// ScramSHA256 gives the keys for user. For an unknown user they are made up:
// the same at every call, and known is false, so that the exchange can fail at
// its end, alike in text and time. ScramDone is to be told how it ended.
func (d *Directory) ScramSHA256(user string) (keys sasl.ScramKeys, known bool, err error) {
	s := d.current()
	name := userName(user)
	acc := s.accounts[name]
	iterations := d.cost.Iterations
	if len(s.order) > 0 {
		iterations = s.order[0].scram.Iterations
	}
	fake := fakeScram(s.secret, name, iterations) // made in any case, for the time it takes
	if acc == nil {
		return fake, false, nil
	}
	return acc.scram, true, nil
}

// ScramDone is told how an exchange that began with ScramSHA256 ended, by the
// client's proof. Its error is nil if the login stands, else ErrLogin: also
// where the client is held off, right proof or not.
func (d *Directory) ScramDone(ctx context.Context, client net.Addr, user string, good bool) (account string, err error) {
	start := time.Now()
	name := userName(user)
	acc := d.current().accounts[name]
	switch {
	case d.guard.heldOff(client, name, start):
		return "", fail(ctx, start)
	case !good || acc == nil:
		d.guard.failed(client, name, start)
		return "", fail(ctx, start)
	}
	d.guard.succeeded(client, name, start)
	return acc.name, nil
}

// userName is the canonical form of what a user typed; of what is no address,
// the text itself, which no account has.
func userName(user string) string {
	if a, err := smtp.ParseMailbox(user); err == nil && a.Domain != "" {
		return canonical(a)
	}
	const enough = 320 // the longest address
	return "!" + user[:min(len(user), enough)]
}
