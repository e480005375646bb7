package auth

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tenma/metrics"
	"tenma/relay/wire/sasl"
	"tenma/relay/wire/smtp"
)

// journal is a log that a test reads.
type journal struct{ bytes.Buffer }

func (j *journal) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

func (j *journal) lines() []string {
	defer j.Reset()
	return slices.Collect(strings.Lines(j.String()))
}

// counts gives what was counted, by protocol and reason.
func counts(t *testing.T, r prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var name []string
			for _, l := range m.GetLabel() {
				name = append(name, l.GetValue())
			}
			all[strings.Join(name, " ")] = m.GetCounter().GetValue()
		}
	}
	return all
}

// Each failed login is one line that says what is wrong with the client, while all
// of them look alike to it.
func TestReasons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log journal
		c := config(t)
		c.Log = log.logger()
		counted := prometheus.NewRegistry()
		c.Metrics = metrics.NewAuth(counted)
		d := open(t, c)
		add(t, d, user, "carol@elsewhere.test")
		if err := d.AddExternal(addr(t, "eve@example.test")); err != nil {
			t.Fatal(err)
		}
		phone, err := d.AddAppPassword(addr(t, user), "phone", []string{"imap"})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.SwitchOff(addr(t, "carol@elsewhere.test"), []string{"pop3"}); err != nil {
			t.Fatal(err)
		}
		log.Reset()
		s := d.Service("pop3")
		for i, try := range []struct{ user, password, want string }{
			{"ann", right, `user=ann reason="name without a domain" hint="the user name is the whole address, such as ann@example.org"`},
			{"", right, `user="" reason="name is not an address"`},
			{"ann@", right, `user=ann@ reason="name is not an address"`},
			{"ann@exmaple.test", right, `user=ann@exmaple.test reason="unknown domain"`},
			{"anne@example.test", right, `user=anne@example.test reason="unknown user"`},
			{"dave@elsewhere.test", right, `user=dave@elsewhere.test reason="unknown user"`},
			{"ANN@example.test", "wrong", `user=ANN@example.test reason="wrong password"`},
			{"ann@example.test", "wrong", `user=ann@example.test reason="wrong password" hint="the same as before: some device may still have an old password"`},
			{"ann@example.test", strings.Repeat("x", MaxPassword+1), `user=ann@example.test reason="wrong password"`},
			{"eve@example.test", "x", `user=eve@example.test reason="no password" hint="the account has no password here and there is no external source; \"tenma user passwd\" gives it one"`},
			{user, phone, `user=ann@example.test reason="protocol switched off" hint="the password is right; \"tenma user protocols\" and \"tenma user app-password list\" show what is allowed"`},
			{"carol@elsewhere.test", "password of carol@elsewhere.test", `user=carol@elsewhere.test reason="protocol switched off" hint="the password is right; \"tenma user protocols\" and \"tenma user app-password list\" show what is allowed"`},
			{"x\" client=203.0.113.9 user=\"\n", "x", `user="x\" client=203.0.113.9 user=\"?" reason="name without a domain" hint="the user name is the whole address, such as ann@example.org"`},
		} {
			start := time.Now()
			_, err := s.Plain(t.Context(), from(fmt.Sprintf("192.0.2.%d", i)), try.user, try.password)
			want := fmt.Sprintf("level=WARN msg=\"login failed\" protocol=pop3 client=192.0.2.%d %s\n", i, try.want)
			if i == 7 { // the same from elsewhere is another guess; from here it is not
				log.Reset()
				_, err = s.Plain(t.Context(), from("192.0.2.6"), try.user, try.password)
				want = strings.Replace(want, "192.0.2.7", "192.0.2.6", 1)
				start = start.Add(failAfter)
			}
			if code(err) != 535 || time.Since(start) != failAfter {
				t.Errorf("%.20s: %v after %v", try.user, err, time.Since(start))
			}
			if got := log.lines(); len(got) != 1 || got[0] != want {
				t.Errorf("%q\nwant %q", got, want)
			}
		}
		if _, err := s.ScramDone(t.Context(), here, user, false); code(err) != 535 {
			t.Error(err)
		}
		if got := log.lines(); len(got) != 1 || !strings.Contains(got[0], `reason="wrong password" hint="an app password logs in by PLAIN or LOGIN, or by SCRAM with the user name ann@example.test/phone"`) {
			t.Errorf("%q", got)
		}
		// A good one is told at info, once a minute, with its way.
		way := sasl.WithWay(t.Context(), sasl.Way{Listener: "192.0.2.9:995", Mechanism: sasl.Plain})
		for range 2 {
			if _, err := s.Plain(way, here, user, right); err != nil {
				t.Fatal(err)
			}
		}
		if got := log.lines(); len(got) != 1 || got[0] != "level=INFO msg=login protocol=pop3 client=192.0.2.1 account=ann@example.test listener=192.0.2.9:995 mechanism=PLAIN\n" {
			t.Errorf("%q", got)
		}
		_, _ = s.Plain(way, here, "anne@example.test", right)
		if got := log.lines(); len(got) != 1 || got[0] != "level=WARN msg=\"login failed\" protocol=pop3 client=192.0.2.1 user=anne@example.test reason=\"unknown user\" listener=192.0.2.9:995 mechanism=PLAIN\n" {
			t.Errorf("%q", got)
		}
		// Each is counted by the words of its line.
		if got := counts(t, counted)["pop3 name without a domain"]; got != 2 {
			t.Errorf("%v logins were counted as without a domain", got)
		}
		long := strings.Repeat("é", 1<<20)
		_, _ = s.Plain(t.Context(), nil, long, "x")
		if got := log.lines(); len(got) != 1 || len(got[0]) > 1000 || !strings.Contains(got[0], "client=unknown") {
			t.Errorf("%.1000q", got)
		}
	})
}

// Where one domain lives the local part is enough, and is the same name to the
// guard.
func TestBareNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := config(t)
		c.Domains = []smtp.Domain{"example.test"}
		d := open(t, c)
		add(t, d, user, "ann@second.test", "postmaster@example.test")
		if account, err := d.Plain(t.Context(), here, "Ann", right); err != nil || account != user {
			t.Errorf("%q, %v", account, err)
		}
		if account, err := d.Plain(t.Context(), here, "postmaster", "password of postmaster@example.test"); err != nil || account != "postmaster@example.test" {
			t.Errorf("%q, %v", account, err)
		}
		if _, good := exchange(t, d, "ann", right); !good {
			t.Error("SCRAM")
		}
		for i := range freeFailures {
			d.try(t, from(fmt.Sprintf("198.51.100.%d", i)), []string{"ann", user}[i%2], "x")
		}
		if !d.guard.heldOff(from("203.0.113.1"), user, time.Now()) {
			t.Error("guesses at the two forms are counted apart")
		}
		c.Domains = append(c.Domains, "second.test")
		if err := d.Apply(c); err != nil {
			t.Fatal(err)
		}
		if d.try(t, here, "ann", right) {
			t.Error("one of two was taken")
		}
	})
}

// One who guesses on is kept out for ever longer, a day at most, and a day later
// it is forgotten.
func TestBan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, config(t))
		add(t, d, user)
		guesser := from("192.0.2.66")
		var holds []time.Duration
		for i := range 30 {
			d.try(t, guesser, user, fmt.Sprint("guess ", i))
			f, _ := d.guard.clients.get("192.0.2.66")
			if hold := f.until.Sub(f.at); hold > 0 {
				holds = append(holds, hold)
				time.Sleep(hold)
			}
		}
		if holds[0] != holdFirst || holds[8] < 15*time.Minute || holds[len(holds)-1] != holdClient {
			t.Errorf("%v", holds)
		}
		time.Sleep(holdClient / 2)
		if d.try(t, guesser, user, "again"); !d.guard.heldOff(guesser, user, time.Now().Add(holdClient-2*time.Second)) {
			t.Error("it begins anew")
		}
		time.Sleep(2*holdClient + time.Second)
		for i := range freeFailures - 1 {
			d.try(t, guesser, user, fmt.Sprint("other ", i))
		}
		if d.guard.heldOff(guesser, user, time.Now()) {
			t.Error("it is never forgotten")
		}
	})
}

// A device with an old password neither shuts itself out nor its office; a
// colleague who was there before gets in while a guesser next to him is banned; and
// nobody guesses at ease from a place where the account is known.
func TestOffice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, config(t))
		add(t, d, user, "bob@example.test")
		for range 100 {
			d.try(t, here, user, "last year's")
		}
		if d.guard.heldOff(here, user, time.Now()) || !d.try(t, here, user, right) {
			t.Fatal("an old password shuts out")
		}
		time.Sleep(2 * rememberFor)
		for i := range 2 * freeFailures {
			d.try(t, here, "bob@example.test", fmt.Sprint(i))
		}
		if d.try(t, here, "bob@example.test", "password of bob@example.test") {
			t.Error("the guesser is not held off")
		}
		if !d.try(t, here, user, right) {
			t.Error("a colleague is shut out")
		}
		time.Sleep(2 * rememberFor)
		for i := range freeFailures {
			d.try(t, here, user, fmt.Sprint(i))
		}
		if d.try(t, here, user, right) {
			t.Error("whoever sits at a known place may guess")
		}
	})
}

// Nobody leaves the table of the banned by making it overflow.
func TestBannedStayInTheTable(t *testing.T) {
	g := newGuard(1, nil)
	now := time.Unix(1_000_000, 0)
	guesser := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}
	for i := range 24 {
		g.failed(guesser, fmt.Sprint(i), now)
	}
	for i := range 4 * tableSize {
		g.failed(&net.TCPAddr{IP: net.IPv4(10, byte(i>>16), byte(i>>8), byte(i))}, "x", now.Add(time.Duration(i)))
	}
	if !g.heldOff(guesser, "y", now.Add(time.Minute)) || len(g.clients.m) > tableSize {
		t.Error("out")
	}
}

// ask is an external source: it knows ann and eve, and is down while a file is
// there.
func ask(t *testing.T, c *Config) (down func(bool)) {
	t.Helper()
	dir := t.TempDir()
	program, flag := filepath.Join(dir, "ask"), filepath.Join(dir, "down")
	script := `#!/bin/sh
read -r address
[ -e ` + flag + ` ] && exit 75
case "$1 $address" in
"lookup eve@example.test"|"lookup fay@example.test") exit 0 ;;
"verify eve@example.test"|"verify fay@example.test"|"verify ann@example.test") read -r p; [ "$p" = outside ] ;;
*) exit 1 ;;
esac
`
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	c.External = &External{Kind: "command", Command: []string{program}, Known: time.Nanosecond, Timeout: time.Minute}
	return func(yes bool) {
		t.Helper()
		if err := os.RemoveAll(flag); err != nil {
			t.Fatal(err)
		}
		if yes {
			if err := os.WriteFile(flag, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestExternal(t *testing.T) {
	synctest.Test(t, testExternal)
}

func testExternal(t *testing.T) {
	c := config(t)
	down := ask(t, &c)
	d := open(t, c)
	add(t, d, user, "carol@not-ours.test")
	if err := d.AddExternal(addr(t, "fay@example.test")); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(d.Service("imap").Mechanisms(), []string{"PLAIN", "LOGIN"}) {
		t.Error("SCRAM is offered")
	}
	in := func(user, password string) int {
		t.Helper()
		_, err := d.Plain(t.Context(), here, user, password)
		return code(err)
	}
	recipient := func(name string) int {
		t.Helper()
		time.Sleep(time.Second) // nothing is remembered so long
		return code(d.Recipient(addr(t, name), false))
	}
	if in("eve@example.test", "outside") != 0 || in("FAY@example.test", "outside") != 0 || in(user, right) != 0 {
		t.Error("out")
	}
	if in(user, "outside") != 535 {
		t.Error("an account with a password here is known by another one outside")
	}
	if recipient("eve+x@example.test") != 0 || recipient("fay@example.test") != 0 || recipient("nobody@example.test") != 550 || recipient("eve@second.test") != 550 {
		t.Error("recipients")
	}
	if got := d.Resolve(addr(t, "Eve+x@example.test")); !slices.Equal(got, addrs(t, "eve@example.test")) {
		t.Errorf("%v", got)
	}
	if _, ok := d.Settings(addr(t, "eve@example.test")); !ok {
		t.Error("no settings")
	}
	if _, ok := d.Settings(addr(t, "nobody@example.test")); ok {
		t.Error("settings of nobody")
	}
	if _, known, _ := d.ScramSHA256("fay@example.test"); known {
		t.Error("keys that nobody has")
	}

	down(true)
	if in("fay@example.test", "outside") != 0 {
		t.Error("a login of this minute is not remembered")
	}
	if in("fay@example.test", "other") != 454 || in("gil@example.test", "outside") != 454 || in(user, right) != 0 || in("carol@not-ours.test", "x") != 535 {
		t.Error("logins in an outage")
	}
	if f, _ := d.guard.clients.get("192.0.2.1"); f.n > 2 {
		t.Errorf("an outage counts as guessing: %d", f.n)
	}
	if recipient("gil@example.test") != 451 || recipient(user) != 0 || recipient("x@foreign.test") != 550 || recipient("postmaster@example.test") != 0 {
		t.Error("recipients in an outage")
	}
	if got := d.Resolve(addr(t, "Gil+x@example.test")); !slices.Equal(got, addrs(t, "gil@example.test")) {
		t.Errorf("%v: mail that was taken comes back", got)
	}
	down(false)
	if in("eve@example.test", "wrong") != 535 || recipient("gil@example.test") != 550 {
		t.Error("after it")
	}
	c.External = &External{Kind: "none"}
	if err := d.Apply(c); err == nil {
		t.Error("a source of no kind")
	}
	c.External = nil
	if err := d.Apply(c); err != nil {
		t.Fatal(err)
	}
	if recipient("eve@example.test") != 550 || recipient("fay@example.test") != 0 {
		t.Error("without a source")
	}
}

// A password that was wrong a while ago may have been set outside since then; who
// tries the same one again and again is no guesser, and asks outside but rarely.
func TestExternalPasswordIsChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := config(t)
		ask(t, &c)
		d := open(t, c)
		in := func(password string) int {
			_, err := d.Plain(t.Context(), here, "eve@example.test", password)
			return code(err)
		}
		program := c.External.Command[0]
		script, err := os.ReadFile(program)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if in("fresh") != 535 {
				t.Fatal("a wrong password is taken")
			}
			time.Sleep(20 * time.Second)
		}
		if f, _ := d.guard.clients.get("192.0.2.1"); f.n != 1 {
			t.Errorf("%d guesses of one password", f.n)
		}
		if err := os.WriteFile(program, bytes.ReplaceAll(script, []byte("= outside"), []byte("= fresh")), 0o700); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if in("fresh") != 0 {
			t.Error("the new password is refused")
		}
	})
}

func TestCatchAll(t *testing.T) {
	c := config(t)
	c.CatchAll = map[smtp.Domain]smtp.Address{"example.test": addr(t, user), "empty.test": addr(t, "x@foreign.test"), "second.test": addr(t, "gone@second.test")}
	c.Aliases = []Alias{{Address: addr(t, "team@example.test"), To: addrs(t, "bob@example.test")}, {Address: addr(t, "dead@example.test"), To: addrs(t, "gone@second.test")}}
	d := open(t, c)
	add(t, d, "zed@example.test", user, "bob@example.test")
	for to, want := range map[string][]string{
		"bob@example.test":        {"bob@example.test"},
		"bob+x@example.test":      {"bob@example.test"},
		"team@example.test":       {"bob@example.test"},
		"what.ever@example.test":  {user},
		"postmaster@example.test": {user},
		"abuse@example.test":      {user},
		"x@empty.test":            {"x@foreign.test"},
		"x@second.test":           nil,
		"dead@example.test":       nil,
		"x@foreign.test":          {"x@foreign.test"},
	} {
		if got := d.Resolve(addr(t, to)); !slices.Equal(got, addrs(t, want...)) {
			t.Errorf("%s: %v, want %v", to, got, want)
		}
		if c := code(d.Recipient(addr(t, to), false)); (c == 0) != (len(want) > 0 && to != "x@foreign.test") {
			t.Errorf("%s: %d", to, c)
		}
	}
	c.CatchAll = map[smtp.Domain]smtp.Address{"foreign.test": addr(t, user)}
	if err := d.Apply(c); err == nil {
		t.Error("a catch-all of a foreign domain")
	}
}

// The usual RCPT of our own mailboxes makes no garbage.
func TestResolveIsCheap(t *testing.T) {
	d := open(t, config(t))
	add(t, d, user)
	a := addr(t, user)
	if n := testing.AllocsPerRun(100, func() {
		if d.Recipient(a, false) != nil || len(d.Resolve(a)) != 1 {
			t.Fatal("unknown")
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkResolve(b *testing.B) {
	d := open(b, config(b))
	add(b, d, user)
	for name, a := range map[string]smtp.Address{"plain": addr(b, user), "plus": addr(b, "ann+x@example.test"), "unknown": addr(b, "nobody@example.test")} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					d.Resolve(a)
				}
			})
		})
	}
}
