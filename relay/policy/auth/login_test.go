package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xdg-go/scram"

	"tenma/relay/wire/smtp"
)

const (
	user  = "ann@example.test"
	right = "password of ann@example.test"
)

func from(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 4711} }

var here = from("192.0.2.1")

// code is what a client would hear.
func code(err error) int {
	if errors.Is(err, ErrLogin) {
		return 535
	}
	if e, ok := errors.AsType[*smtp.Error](err); ok {
		return e.Reply.Code
	}
	return 0
}

func (d *Directory) try(t *testing.T, client net.Addr, user, password string) bool {
	t.Helper()
	account, err := d.Plain(t.Context(), client, user, password)
	if err != nil && code(err) != 535 || (err == nil) != (account != "") {
		t.Fatalf("%q, %v", account, err)
	}
	return err == nil
}

func TestPlain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, config(t))
		add(t, d, user)
		if err := d.Add(addr(t, "é@example.test"), "caf\u00e9 \ufb01"); err != nil {
			t.Fatal(err)
		}
		for _, good := range [][2]string{{user, right}, {"ANN@Example.TEST", right}, {"e\u0301@example.test", "cafe\u0301 fi"}} {
			if account, err := d.Plain(t.Context(), here, good[0], good[1]); err != nil || account != strings.ToLower(account) {
				t.Errorf("%s: %q, %v", good[0], account, err)
			}
		}
		// All that fails, fails alike.
		var text string
		for _, bad := range [][2]string{{user, "wrong"}, {user, ""}, {user, right + " "}, {"nobody@example.test", right}, {"ann", right}, {"", ""}, {"\x00", right}, {user, strings.Repeat("x", 1<<20)}} {
			start := time.Now()
			_, err := d.Plain(t.Context(), here, bad[0], bad[1])
			if text == "" && err != nil {
				text = err.Error()
			}
			if code(err) != 535 || err.Error() != text || time.Since(start) != failAfter {
				t.Errorf("%.20q: %v after %v", bad, err, time.Since(start))
			}
		}
	})
}

// A client that goes away does not leave a goroutine waiting for its failure.
func TestPlainCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, config(t))
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		start := time.Now()
		if _, err := d.Plain(ctx, here, user, "x"); code(err) != 535 || time.Since(start) != time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// A good login is remembered for a minute, for its client alone, and until the
// password changes; it then costs no hash.
func TestGoodLoginsAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, config(t))
		add(t, d, user)
		d.try(t, here, user, right)
		for range cap(d.guard.slots) {
			d.guard.slots <- struct{}{} // no hash can be made from here on
		}
		again := func(client net.Addr, password string) int {
			_, err := d.Plain(t.Context(), client, user, password)
			return code(err)
		}
		if again(here, right) != 0 || again(from("192.0.2.1"), right) != 0 {
			t.Error("a good login was not remembered")
		}
		if again(from("192.0.2.2"), right) != 454 || again(here, "wrong") != 454 || again(here, "nobody") != 454 {
			t.Error("a login was answered without a hash")
		}
		time.Sleep(rememberFor)
		if again(here, right) != 454 {
			t.Error("a login was remembered too long")
		}
		for range cap(d.guard.slots) {
			<-d.guard.slots
		}
		if !d.try(t, here, user, right) {
			t.Fatal("no login")
		}
		if err := d.Passwd(addr(t, user), "another"); err != nil {
			t.Fatal(err)
		}
		if d.try(t, here, user, right) || !d.try(t, here, user, "another") {
			t.Error("the old password still stands")
		}
		if err := d.Delete(addr(t, user)); err != nil {
			t.Fatal(err)
		}
		if d.try(t, here, user, "another") {
			t.Error("a deleted account logs in")
		}
	})
}

// Unknown users wait for a hash like known ones; too many waiters hear 454.
func TestHashingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, config(t))
		add(t, d, user)
		for range cap(d.guard.slots) {
			d.guard.slots <- struct{}{}
		}
		start := time.Now()
		results := make(chan int, 1000)
		n := waitersPerWorker*cap(d.guard.slots) + 10
		for i := range n {
			go func() {
				_, err := d.Plain(t.Context(), here, []string{user, "nobody@example.test"}[i%2], right+fmt.Sprint(i))
				results <- code(err)
			}()
		}
		synctest.Wait()
		if len(results) != 10 || time.Since(start) != 0 {
			t.Errorf("%d of %d were sent away at once", len(results), n)
		}
		for range n {
			if c := <-results; c != 454 {
				t.Errorf("%d", c)
			}
		}
		if time.Since(start) != waitAtMost || d.guard.waiting.Load() != 0 {
			t.Errorf("waited %v", time.Since(start))
		}
	})
}

// A mail program that opens many connections at once has all of them served, at the
// price of one hash.
func TestLoginsAtTheSameTimeCostOneHash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, config(t))
		add(t, d, user)
		for range cap(d.guard.slots) {
			d.guard.slots <- struct{}{}
		}
		n := 2 * waitersPerWorker * cap(d.guard.slots)
		results := make(chan error, n+1)
		first, cancel := context.WithCancel(t.Context())
		try := func(ctx context.Context) {
			_, err := d.Plain(ctx, here, user, right)
			results <- err
		}
		go try(first)
		synctest.Wait()
		for range n {
			go try(t.Context())
		}
		synctest.Wait()
		if w := d.guard.waiting.Load(); w != 1 {
			t.Errorf("%d wait for a hash", w)
		}
		cancel() // that it went away is nobody else's verdict
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		<-d.guard.slots
		for range n {
			if err := <-results; err != nil {
				t.Errorf("%v", err)
			}
		}
	})
}

// A client that guesses is held off, right password or not, ever longer; from
// elsewhere, the owner still gets in.
func TestGuessingClientIsHeldOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, config(t))
		add(t, d, user)
		guesser := from("2001:db8::1")
		for i := range freeFailures {
			if d.try(t, from(fmt.Sprintf("2001:db8::%d", i)), fmt.Sprintf("u%d@example.test", i), "x") {
				t.Fatal("a guess was right")
			}
		}
		if d.try(t, guesser, user, right) {
			t.Error("the client was not held off")
		}
		if !d.try(t, from("2001:db8:0:1::1"), user, right) || !d.try(t, here, user, right) {
			t.Error("others are held off too")
		}
		time.Sleep(holdFirst)
		if !d.try(t, guesser, user, right) {
			t.Error("held off for too long")
		}
		if d.try(t, guesser, "u@example.test", "x"); d.try(t, guesser, "second@example.test", right) {
			t.Error("impossible")
		}
		time.Sleep(holdFirst)
		if d.guard.heldOff(guesser, "x", time.Now()) == false {
			t.Error("the second time is as short as the first")
		}
		time.Sleep(forgetAfter + time.Second)
		if d.try(t, guesser, "u@example.test", "x"); d.guard.heldOff(guesser, "x", time.Now()) {
			t.Error("old failures are not forgotten")
		}
	})
}

// An account that many clients guess at is held off for strangers, known or
// not, and open to clients that logged in before.
func TestGuessedAccountIsHeldOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, config(t))
		add(t, d, user)
		if !d.try(t, here, user, right) {
			t.Fatal("no login")
		}
		time.Sleep(2 * rememberFor)
		for _, name := range []string{"nobody@example.test", user} {
			for i := range freeFailures {
				d.try(t, from(fmt.Sprintf("198.51.100.%d", i)), name, "x")
			}
			if !d.guard.heldOff(from("203.0.113.1"), d.Service("smtp").visit(nil, name).name, time.Now()) {
				t.Errorf("%s is not held off", name)
			}
		}
		if d.try(t, from("203.0.113.1"), user, right) {
			t.Error("a stranger got in")
		}
		if !d.try(t, here, user, right) {
			t.Error("the owner is locked out")
		}
		if d.guard.heldOff(from("203.0.113.1"), user, time.Now()) {
			t.Error("a good login did not clear the account")
		}
	})
}

func TestTablesAreBounded(t *testing.T) {
	tab := newTable[int, friend]()
	start := time.Unix(0, 0)
	for i := range 2 * tableSize {
		tab.put(i, friend{at: start.Add(time.Duration(i))})
	}
	if len(tab.m) != tableSize {
		t.Errorf("%d entries", len(tab.m))
	}
	if _, ok := tab.get(2*tableSize - 1); !ok {
		t.Error("the newest entry is gone")
	}
}

// exchange runs SCRAM-SHA-256 as a server would, and gives whether the proof
// was right.
func exchange(t *testing.T, d *Directory, user, password string) (challenge string, good bool) {
	t.Helper()
	keys, known, err := d.ScramSHA256(user)
	if err != nil {
		t.Fatal(err)
	}
	server, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) {
		return scram.StoredCredentials{KeyFactors: scram.KeyFactors{Salt: string(keys.Salt), Iters: keys.Iterations}, StoredKey: keys.StoredKey, ServerKey: keys.ServerKey}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	client, err := scram.SHA256.NewClient(user, password, "")
	if err != nil {
		t.Fatal(err)
	}
	cc, sc := client.NewConversation(), server.NewConversation()
	first, err := cc.Step("")
	if err != nil {
		t.Fatal(err)
	}
	if challenge, err = sc.Step(first); err != nil {
		t.Fatal(err)
	}
	final, err := cc.Step(challenge)
	if err != nil {
		t.Fatal(err)
	}
	_, err = sc.Step(final)
	return challenge, err == nil && known
}

func TestScram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := config(t)
		d := open(t, c)
		add(t, d, user)
		if _, good := exchange(t, d, user, right); !good {
			t.Error("the right password is wrong")
		}
		if account, err := d.ScramDone(t.Context(), here, "ANN@example.test", true); err != nil || account != user {
			t.Errorf("%q, %v", account, err)
		}
		for _, who := range []string{user, "nobody@example.test", "not an address"} {
			if _, good := exchange(t, d, who, "wrong"); good {
				t.Errorf("%s got in", who)
			}
			start := time.Now()
			if _, err := d.ScramDone(t.Context(), here, who, false); code(err) != 535 || time.Since(start) != failAfter {
				t.Errorf("%s: %v after %v", who, err, time.Since(start))
			}
		}
		if _, err := d.ScramDone(t.Context(), here, "nobody@example.test", true); code(err) != 535 {
			t.Error("a proof for nobody was taken")
		}
		for !d.guard.heldOff(here, user, time.Now()) {
			if _, err := d.ScramDone(t.Context(), here, user, false); code(err) != 535 {
				t.Fatal(err)
			}
		}
		if _, err := d.ScramDone(t.Context(), here, user, true); code(err) != 535 {
			t.Error("a guessing client was not held off")
		}
	})
}

// Asking twice, or after a restart, does not tell who exists.
func TestUnknownUsersLookTheSame(t *testing.T) {
	c := config(t)
	d := open(t, c)
	add(t, d, user)
	real, known, _ := d.ScramSHA256(user)
	if !known {
		t.Fatal("unknown")
	}
	one, known, _ := d.ScramSHA256("nobody@example.test")
	two, _, _ := open(t, c).ScramSHA256("Nobody@Example.test")
	other, _, _ := d.ScramSHA256("noone@example.test")
	if known || !bytes.Equal(one.Salt, two.Salt) || !bytes.Equal(one.StoredKey, two.StoredKey) || !bytes.Equal(one.ServerKey, two.ServerKey) {
		t.Errorf("another answer after a restart: %v, %v", one, two)
	}
	if bytes.Equal(one.Salt, other.Salt) || bytes.Equal(one.StoredKey, one.ServerKey) {
		t.Error("made-up keys show that they are")
	}
	if len(one.Salt) != len(real.Salt) || one.Iterations != real.Iterations || len(one.StoredKey) != len(real.StoredKey) {
		t.Errorf("%v is not like %v", one, real)
	}
}

// An unknown user costs a hash as large as those in the file, seen by the
// memory it takes.
func TestUnknownUserCostsAHash(t *testing.T) {
	c := config(t)
	c.Cost.Memory = 1 << 10
	add(t, open(t, c), user)
	c.Cost.Memory = 8
	s := open(t, c).current()
	for _, acc := range []*account{s.order[0], nil} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		s.verify(acc, "wrong", c.Cost)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n < 1<<20 {
			t.Errorf("account %v: %d octets", acc != nil, n)
		}
	}
}

// The least that a new password is worth (OWASP; RFC 7677 section 4), and the
// most rounds that Cyrus SASL computes.
func TestDefaultCost(t *testing.T) {
	c := Cost{}.withDefaults()
	if c.Memory < 19<<10 || c.Time < 2 || c.Threads < 1 || c.Iterations < 4096 || c.Iterations > 0x10000 {
		t.Errorf("%+v", c)
	}
	h, err := newHash("x", c, strings.NewReader(strings.Repeat("s", saltLen)))
	if err != nil || !h.matches("x") || h.matches("y") || !strings.HasPrefix(h.String(), "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("%s, %v", h.String(), err)
	}
}

func FuzzPlain(f *testing.F) {
	d := open(f, config(f))
	add(f, d, user)
	f.Add(user, right)
	f.Add("a\x00b", "\xff")
	f.Fuzz(func(t *testing.T, name, password string) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // fails without waiting
		account, err := d.Plain(ctx, from("192.0.2.1"), name, password)
		if err == nil && (account != user || normal(password) != normal(right)) {
			t.Fatalf("%q %q got in as %q", name, password, account)
		}
	})
}

func BenchmarkPlain(b *testing.B) {
	c := config(b)
	c.Cost = Cost{}
	d := open(b, c)
	add(b, d, user)
	b.Run("hashed", func(b *testing.B) {
		for b.Loop() {
			d.guard.logins.remove(d.guard.loginKey(user, here, right))
			if _, err := d.Plain(context.Background(), here, user, right); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("remembered", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := d.Plain(context.Background(), here, user, right); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkRecipient(b *testing.B) {
	d := open(b, config(b))
	add(b, d, user)
	a := addr(b, user)
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Recipient(a, false); err != nil {
			b.Fatal(err)
		}
	}
}
