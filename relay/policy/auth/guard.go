package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"tenma/relay/wire/smtp"
)

// Figures of the guard.
const (
	rememberFor = 60 * time.Second // a good login; PHP connects anew for each mail
	knownFor    = 7 * 24 * time.Hour
	forgetAfter = time.Hour // failures, or when the quiet after a ban was as long as the ban
	tableSize   = 16 << 10  // entries of each table, some 3 MiB when all are full

	freeFailures = 10 // before anybody is held off
	holdFirst    = 5 * time.Second
	holdClient   = 24 * time.Hour  // the most; doubles up to it: 15 minutes at 18 failures, a day at 25
	holdAccount  = 5 * time.Minute // less, since it can lock an owner out

	waitersPerWorker = 32 // at 25 ms a hash the last one waits 0.8 s
	waitAtMost       = 5 * time.Second
)

// guard bounds what logins may cost and slows down guessing. It never holds a
// password: a login is remembered under a keyed hash whose key dies with the
// process.
//
// Who guesses is told from who has forgotten: a password that was wrong a minute
// ago is no new guess when it comes again, so that a telephone with last year's
// password does not shut its whole office out. And whoever logged in from a place
// before is judged there by the failures of that name alone.
type guard struct {
	slots   chan struct{} // one per hash at work
	waiting *atomic.Int64
	key     []byte

	logins   *table[[32]byte, login]    // good ones, of the last minute
	wrong    *table[[32]byte, login]    // bad ones, of the last hour
	friends  *table[[32]byte, friend]   // clients from which an account has logged in
	clients  *table[string, failures]   // by address, IPv6 by /64
	accounts *table[[32]byte, failures] // by name, known or not
	pairs    *table[[32]byte, failures] // by name and address

	flights *flights
}

// flights are the logins that are being hashed. The same login once more, from the
// same client, waits for the first and takes its verdict: a mail program that opens
// many connections at once costs one hash, and none of them is sent away.
type flights struct {
	mu sync.Mutex
	m  map[[32]byte]*flight
}

// flight is one of them; when done is closed the rest is its verdict.
type flight struct {
	done chan struct{}
	good bool
	err  error
}

// once runs verify for the first of those who come with a key at the same time, and
// gives all of them what it said. Where the first went away itself, the next one
// runs it.
func (f *flights) once(ctx context.Context, key [32]byte, verify func() (bool, error)) (good bool, err error) {
	for {
		f.mu.Lock()
		other := f.m[key]
		if other == nil {
			mine := &flight{done: make(chan struct{})}
			f.m[key] = mine
			f.mu.Unlock()
			mine.good, mine.err = verify()
			f.mu.Lock()
			delete(f.m, key)
			f.mu.Unlock()
			close(mine.done)
			return mine.good, mine.err
		}
		f.mu.Unlock()
		select {
		case <-other.done:
		case <-ctx.Done():
			return false, ctx.Err()
		}
		if !errors.Is(other.err, context.Canceled) && !errors.Is(other.err, context.DeadlineExceeded) {
			return other.good, other.err
		}
	}
}

type login struct {
	hash string // of the account at that time; another one ends it
	at   time.Time
}

type friend struct{ at time.Time }

type failures struct {
	n         int
	at, until time.Time
}

func (l login) when() time.Time  { return l.at }
func (f friend) when() time.Time { return f.at }

// when keeps those that are held off in the table: nobody gets out by making it
// overflow.
func (f failures) when() time.Time {
	if f.until.After(f.at) {
		return f.until
	}
	return f.at
}

func newGuard(workers int, key []byte) guard {
	return guard{
		slots: make(chan struct{}, workers), waiting: new(atomic.Int64), key: key,
		logins: newTable[[32]byte, login](), wrong: newTable[[32]byte, login](), friends: newTable[[32]byte, friend](),
		clients: newTable[string, failures](), accounts: newTable[[32]byte, failures](), pairs: newTable[[32]byte, failures](),
		flights: &flights{m: map[[32]byte]*flight{}},
	}
}

// enter waits for leave to hash; leave gives it back. When too many wait, or
// for too long, the error is a 454.
func (g *guard) enter(ctx context.Context) (leave func(), err error) {
	busy := smtp.Errorf(454, smtp.Status{4, 7, 0}, "Temporary authentication failure")
	if g.waiting.Add(1) > int64(waitersPerWorker*cap(g.slots)) {
		g.waiting.Add(-1)
		return nil, busy
	}
	defer g.waiting.Add(-1)
	t := time.NewTimer(waitAtMost)
	defer t.Stop()
	select {
	case g.slots <- struct{}{}:
		return func() { <-g.slots }, nil
	case <-t.C:
		return nil, busy
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// digest is a keyed hash of its parts.
func (g *guard) digest(parts ...string) (sum [32]byte) {
	m := hmac.New(sha256.New, g.key)
	for _, p := range parts {
		m.Write(binary.AppendUvarint(nil, uint64(len(p))))
		m.Write([]byte(p))
	}
	m.Sum(sum[:0])
	return sum
}

// loginKey stands for a login. It holds for one client only, so that a guess
// from elsewhere is never answered from memory.
func (g *guard) loginKey(name string, client net.Addr, password string) [32]byte {
	return g.digest("login", name, place(client), password)
}

func (g *guard) remembers(key [32]byte, hash string, now time.Time) bool {
	l, ok := g.logins.get(key)
	return ok && l.hash == hash && now.Sub(l.at) < rememberFor
}

func (g *guard) remember(key [32]byte, hash string, now time.Time) {
	g.logins.put(key, login{hash: hash, at: now})
}

// wrongBefore reports that this very login failed within the hour, of the same
// account, and how long ago: it is no new guess.
func (g *guard) wrongBefore(key [32]byte, hash string, now time.Time) (ago time.Duration, ok bool) {
	l, ok := g.wrong.get(key)
	ago = now.Sub(l.at)
	return ago, ok && l.hash == hash && ago < forgetAfter
}

// heldOff reports that a login is refused unseen: too many failures from the
// client, or for the account from clients that never logged in to it.
func (g *guard) heldOff(client net.Addr, name string, now time.Time) bool {
	where := place(client)
	if f, ok := g.friends.get(g.digest("friend", name, where)); ok && now.Sub(f.at) <= knownFor {
		f, ok := g.pairs.get(g.digest("pair", name, where))
		return ok && now.Before(f.until)
	}
	if f, ok := g.clients.get(where); ok && now.Before(f.until) {
		return true
	}
	f, ok := g.accounts.get(g.digest("account", name))
	return ok && now.Before(f.until)
}

// failed counts a guess. It gives for how long the client is held off now.
func (g *guard) failed(client net.Addr, name string, now time.Time) time.Duration {
	where := place(client)
	f := g.clients.update(where, func(f failures) failures { return f.next(now, holdClient) })
	g.accounts.update(g.digest("account", name), func(f failures) failures { return f.next(now, holdAccount) })
	g.pairs.update(g.digest("pair", name, where), func(f failures) failures { return f.next(now, holdClient) })
	return max(0, f.until.Sub(now))
}

// succeeded clears the account's failures. The client's stay: a guesser may
// have an account of its own.
func (g *guard) succeeded(client net.Addr, name string, now time.Time) {
	where := place(client)
	g.accounts.remove(g.digest("account", name))
	g.pairs.remove(g.digest("pair", name, where))
	g.friends.put(g.digest("friend", name, where), friend{at: now})
}

// next counts one more failure.
func (f failures) next(now time.Time, most time.Duration) failures {
	if now.Sub(f.at) > max(forgetAfter, 2*f.until.Sub(f.at)) {
		f.n = 0
	}
	f.n++
	f.at = now
	if over := f.n - freeFailures; over >= 0 {
		f.until = now.Add(min(holdFirst<<min(over, 20), most))
	}
	return f
}

// place is the part of a client's address that one person is likely to hold:
// an IPv4 address, or 64 bits of an IPv6 address.
func place(client net.Addr) string {
	a, ok := ipOf(client)
	switch {
	case client == nil:
		return ""
	case !ok:
		return client.String()
	case a.Is6():
		p, _ := a.Prefix(64)
		return p.String()
	}
	return a.String()
}

// ipOf is the IP address of a client, if it has one.
func ipOf(client net.Addr) (a netip.Addr, ok bool) {
	switch c := client.(type) {
	case nil:
		return a, false
	case *net.TCPAddr:
		a, ok = netip.AddrFromSlice(c.IP)
	default:
		ap, err := netip.ParseAddrPort(c.String())
		a, ok = ap.Addr(), err == nil
	}
	return a.Unmap().WithZone(""), ok
}

// table is a map that never grows beyond tableSize: a new entry takes the
// place of an old one.
type table[K comparable, V interface{ when() time.Time }] struct {
	mu sync.Mutex
	m  map[K]V
}

func newTable[K comparable, V interface{ when() time.Time }]() *table[K, V] {
	return &table[K, V]{m: map[K]V{}}
}

func (t *table[K, V]) get(k K) (V, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	v, ok := t.m[k]
	return v, ok
}

func (t *table[K, V]) put(k K, v V) { t.update(k, func(V) V { return v }) }

func (t *table[K, V]) remove(k K) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.m, k)
}

func (t *table[K, V]) update(k K, fn func(V) V) V {
	t.mu.Lock()
	defer t.mu.Unlock()
	old, there := t.m[k]
	if !there && len(t.m) >= tableSize {
		t.evict()
	}
	v := fn(old)
	t.m[k] = v
	return v
}

// evict removes the oldest of a few entries, which the map picks at random.
func (t *table[K, V]) evict() {
	const sample = 8
	var oldest K
	var at time.Time
	n := 0
	for k, v := range t.m {
		if n == 0 || v.when().Before(at) {
			oldest, at = k, v.when()
		}
		if n++; n == sample {
			break
		}
	}
	delete(t.m, oldest)
}
