package auth

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"

	"tenma/relay/wire/smtp"
)

// cheap is as little work as a password may be worth.
var cheap = Cost{Memory: 8, Time: 1, Threads: 1, Iterations: 4096}

func addr(t testing.TB, s string) smtp.Address {
	t.Helper()
	if s == "" {
		return smtp.Address{}
	}
	a, err := smtp.ParseMailbox(s)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return a
}

func addrs(t testing.TB, list ...string) []smtp.Address {
	t.Helper()
	var all []smtp.Address
	for _, s := range list {
		all = append(all, addr(t, s))
	}
	return all
}

func config(t testing.TB) Config {
	return Config{
		Path: filepath.Join(t.TempDir(), "state", "accounts.toml"), Hostname: "mx.host.test",
		Domains: []smtp.Domain{"example.test", "second.test", "empty.test"}, Cost: cheap, Workers: 2,
		Log: slog.New(slog.DiscardHandler),
	}
}

func open(t testing.TB, c Config) *Directory {
	t.Helper()
	d, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func add(t testing.TB, d *Directory, names ...string) {
	t.Helper()
	for _, n := range names {
		if err := d.Add(addr(t, n), "password of "+n); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRecipient(t *testing.T) {
	c := config(t)
	c.Aliases = []Alias{
		{Address: addr(t, "team@example.test"), To: addrs(t, "ann@example.test", "x@foreign.test")},
		{Address: addr(t, "dead@example.test"), To: addrs(t, "nobody@example.test")},
	}
	d := open(t, c)
	add(t, d, "ann@example.test", "bob@second.test", "carol@not-ours.test")
	const taken, unknown, denied = "", "550 5.1.1", "550 5.7.1"
	for _, c := range []struct{ to, stranger, trusted string }{
		{"ann@example.test", taken, taken},
		{"ANN@example.test", taken, taken},
		{"ann+news@example.test", taken, taken},
		{`"ann"@example.test`, taken, taken},
		{"+ann@example.test", unknown, unknown},
		{"bob@example.test", unknown, unknown},
		{"bob@second.test", taken, taken},
		{"team@example.test", taken, taken},
		{"Team+x@example.test", taken, taken},
		{"dead@example.test", unknown, unknown},
		{"nobody@example.test", unknown, unknown},
		{"x@foreign.test", denied, taken},
		{"x@sub.example.test", denied, taken},
		{"carol@not-ours.test", denied, taken},
		{"postmaster", taken, taken},
		{"PostMaster@example.test", taken, taken},
		{"abuse@empty.test", taken, taken},
		{"postmaster@mx.host.test", taken, taken},
		{"abuse@mx.host.test", taken, taken},
		{"ann@mx.host.test", denied, taken},
		{"postmaster@foreign.test", denied, taken},
		// The classic ways to relay through somebody else (RFC 5321 section 7.1
		// and its forebears).
		{"x%foreign.test@example.test", unknown, unknown},
		{"foreign.test!x@example.test", unknown, unknown},
		{`"x@foreign.test"@example.test`, unknown, unknown},
		{"ann%foreign.test@example.test", unknown, unknown},
		{"x@[192.0.2.1]", denied, taken},
		{"x@[IPv6:::1]", denied, taken},
		{"postmaster@[127.0.0.1]", denied, taken},
	} {
		for _, way := range []struct {
			trusted bool
			want    string
		}{{false, c.stranger}, {true, c.trusted}} {
			err := d.Recipient(addr(t, c.to), way.trusted)
			got := ""
			if e, ok := errors.AsType[*smtp.Error](err); ok {
				got = fmt.Sprint(e.Reply.Code, " ", e.Reply.Status)
			} else if err != nil {
				t.Errorf("%s: %v is no reply", c.to, err)
			}
			if got != way.want {
				t.Errorf("%s, trusted %v: %q, want %q", c.to, way.trusted, got, way.want)
			}
		}
	}
	if err := d.Recipient(smtp.Address{}, true); err == nil {
		t.Error("nobody is taken as a recipient")
	}
}

func TestResolve(t *testing.T) {
	c := config(t)
	c.Aliases = []Alias{
		{Address: addr(t, "team@example.test"), To: addrs(t, "ann@example.test", "x@foreign.test", "ann+two@example.test", "all@example.test")},
		{Address: addr(t, "all@example.test"), To: addrs(t, "team@example.test", "bob@second.test")},
		{Address: addr(t, "bob@second.test"), To: addrs(t, "bob@second.test", "bob@foreign.test")},
		{Address: addr(t, "a@example.test"), To: addrs(t, "b@example.test")},
		{Address: addr(t, "b@example.test"), To: addrs(t, "a@example.test")},
		{Address: addr(t, "abuse@second.test"), To: addrs(t, "ann@example.test")},
	}
	d := open(t, c)
	add(t, d, "zed@example.test", "ann@example.test", "bob@second.test")
	for to, want := range map[string][]string{
		"ann@example.test":        {"ann@example.test"},
		"ANN+x@example.test":      {"ann@example.test"},
		"team@example.test":       {"ann@example.test", "x@foreign.test", "bob@second.test", "bob@foreign.test"},
		"bob@second.test":         {"bob@second.test", "bob@foreign.test"},
		"bob+t@second.test":       {"bob@second.test", "bob@foreign.test"},
		"a@example.test":          nil,
		"nobody@example.test":     nil,
		"x@foreign.test":          {"x@foreign.test"},
		"postmaster@example.test": {"zed@example.test"},
		"abuse@example.test":      {"zed@example.test"},
		"abuse@second.test":       {"ann@example.test"},
		"postmaster":              {"zed@example.test"},
		"postmaster@mx.host.test": {"zed@example.test"},
		"abuse@empty.test":        {"postmaster@empty.test"},
	} {
		if got := d.Resolve(addr(t, to)); !slices.Equal(got, addrs(t, want...)) {
			t.Errorf("%s: %v, want %v", to, got, want)
		}
	}
	c.Aliases = append(c.Aliases, Alias{Address: addr(t, "PostMaster@example.test"), To: addrs(t, "bob@foreign.test")})
	if err := d.Apply(c); err != nil {
		t.Fatal(err)
	}
	if got := d.Resolve(addr(t, "abuse@mx.host.test")); !slices.Equal(got, addrs(t, "bob@foreign.test")) {
		t.Errorf("aliased postmaster: %v", got)
	}
	c.Aliases = append(c.Aliases, Alias{Address: addr(t, "TEAM@example.test"), To: addrs(t, "x@y.test")})
	if err := d.Apply(c); err == nil {
		t.Error("two aliases of one name were taken")
	}
	if err := d.Apply(Config{Hostname: "mx.host.test"}); err != nil {
		t.Fatal(err)
	}
	if got := d.Resolve(addr(t, "postmaster")); !slices.Equal(got, addrs(t, "postmaster@mx.host.test")) {
		t.Errorf("postmaster of a relay without domains: %v", got)
	}
}

// Mail goes where its owner finds it, however the account was written when it was
// made: logins and mail come to one name.
func TestOneNameForLoginsAndMail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, config(t))
		for _, made := range []string{"Ann@example.test", "ÜBUNG@example.test", "Ju\u0308rgen@second.test"} {
			add(t, d, made)
			a := addr(t, made)
			name, err := d.Plain(t.Context(), here, made, "password of "+made)
			if err != nil {
				t.Fatal(err)
			}
			for _, to := range []smtp.Address{a, Canonical(a), {Local: a.Local + "+tag", Domain: a.Domain}} {
				if got := d.Resolve(to); len(got) != 1 || got[0].String() != name {
					t.Errorf("mail for %s goes to %v, its owner is %s", to, got, name)
				}
			}
		}
	})
}

// An alias tree without end stays within its bounds.
func TestResolveIsBounded(t *testing.T) {
	c := config(t)
	for i := range 200 {
		a := Alias{Address: addr(t, fmt.Sprintf("l%d@example.test", i))}
		for j := range 100 {
			a.To = append(a.To, addr(t, fmt.Sprintf("x%d.%d@foreign.test", i, j)))
		}
		a.To = append(a.To, addr(t, fmt.Sprintf("l%d@example.test", i+1)))
		c.Aliases = append(c.Aliases, a)
	}
	if n := len(open(t, c).Resolve(addr(t, "l0@example.test"))); n > maxTargets {
		t.Errorf("%d targets", n)
	}
}

func TestManage(t *testing.T) {
	c := config(t)
	d := open(t, c)
	add(t, d, "b@example.test", "ü@example.test", "A@example.test")
	if err := d.Add(addr(t, "a@example.test"), "x"); !errors.Is(err, ErrExists) {
		t.Errorf("an account was made twice: %v", err)
	}
	for _, bad := range []string{"", strings.Repeat("x", MaxPassword+1), "bell\a"} {
		if err := d.Add(addr(t, "c@example.test"), bad); !errors.Is(err, ErrPassword) {
			t.Errorf("password %.10q: %v", bad, err)
		}
	}
	for _, bad := range []smtp.Address{{}, {Local: "postmaster"}, {Local: "a", Domain: "[127.0.0.1]"}} {
		if err := d.Add(bad, "x"); err == nil {
			t.Errorf("account %q was made", bad)
		}
	}
	list, err := open(t, c).List()
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 3 || list[0].Address != addr(t, "A@example.test") || list[2].Address != addr(t, "ü@example.test") || list[0].Created.IsZero() {
		t.Errorf("%v", list)
	}
	if err := d.Delete(addr(t, "B@example.test")); err != nil {
		t.Error(err)
	}
	if err := d.Delete(addr(t, "b@example.test")); !errors.Is(err, ErrUnknown) {
		t.Errorf("deleted twice: %v", err)
	}
	if err := d.Passwd(addr(t, "b@example.test"), "x"); !errors.Is(err, ErrUnknown) {
		t.Errorf("password for nobody: %v", err)
	}
	st, err := os.Stat(c.Path)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(c.Path), ".accounts-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	text, err := os.ReadFile(c.Path)
	if err != nil || strings.Contains(string(text), "password of") {
		t.Errorf("a password is in the file: %s, %v", text, err)
	}
	none := open(t, Config{})
	if err := none.Add(addr(t, "a@example.test"), "x"); err == nil {
		t.Error("an account without a file")
	}
}

// Several writers, each with its own handle as several processes have, lose
// nothing of each other.
func TestWritersTakeTurns(t *testing.T) {
	c := config(t)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			d, err := Open(c)
			if err != nil {
				t.Error(err)
				return
			}
			for j := range 10 {
				if err := d.Add(smtp.Address{Local: fmt.Sprintf("u%d.%d", i, j), Domain: "example.test"}, "x"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if list, err := open(t, c).List(); err != nil || len(list) != 40 {
		t.Errorf("%d accounts, %v", len(list), err)
	}
}

// Many ask at once for somebody who has just been given an account: none of them
// is told that there is nobody, not while another one reads the file.
func TestManyLookAtOnce(t *testing.T) {
	c := config(t)
	relay, cli := open(t, c), open(t, c)
	for i := range 20 {
		name := fmt.Sprintf("u%d@example.test", i)
		add(t, cli, name)
		relay.looked.Store(0) // long ago
		a, start := addr(t, name), make(chan struct{})
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				<-start
				if len(relay.Resolve(a)) != 1 {
					t.Errorf("%s is nobody", name)
				}
			})
		}
		close(start)
		all.Wait()
	}
}

// What another process writes is noticed within a second; what it breaks is
// not taken over.
func TestChangesOutside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := config(t)
		relay, cli := open(t, c), open(t, c)
		a := addr(t, "ann@example.test")
		add(t, cli, "ann@example.test")
		if len(relay.Resolve(a)) != 0 {
			t.Error("noticed before anybody looked")
		}
		time.Sleep(time.Second)
		if len(relay.Resolve(a)) != 1 {
			t.Error("a new account was not noticed")
		}
		good, err := os.ReadFile(c.Path)
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"nonsense", "version = 2\n", "version = 1\nunknown = 1\n", strings.Replace(string(good), "argon2id", "argon2d", 1)} {
			if err := os.WriteFile(c.Path, []byte(bad), 0o600); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			if len(relay.Resolve(a)) != 1 {
				t.Errorf("%.20q: the account is gone", bad)
			}
			if _, err := Open(c); err == nil {
				t.Errorf("%.20q: opened", bad)
			}
			if err := cli.Delete(a); err == nil {
				t.Errorf("%.20q: written over", bad)
			}
			if now, _ := os.ReadFile(c.Path); string(now) != bad {
				t.Errorf("%.20q: changed", bad)
			}
		}
		if err := os.Remove(c.Path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if len(relay.Resolve(a)) != 0 {
			t.Error("the account is still there without a file")
		}
	})
}

// A file that cannot be used is not read at every look.
func TestBrokenFileIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := config(t)
		log := &journal{}
		c.Log = log.logger()
		d := open(t, c)
		add(t, d, user)
		log.Reset()
		good, err := os.ReadFile(c.Path)
		if err != nil {
			t.Fatal(err)
		}
		write := func(text string) {
			t.Helper()
			if err := os.WriteFile(c.Path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		look := func(d *Directory, n int) int {
			for range n {
				time.Sleep(100 * time.Millisecond)
				if len(d.Resolve(addr(t, user))) != 1 {
					t.Error("the account is gone")
				}
			}
			return len(log.lines())
		}
		write("nonsense")
		if n := look(d, 50); n != 1 {
			t.Errorf("told %d times", n)
		}
		if n := look(d, 60); n != 1 {
			t.Errorf("told %d times more", n)
		}
		write("other nonsense")
		if n := look(d, 2); n != 1 {
			t.Errorf("told %d times of another file", n)
		}
		write(string(good))
		if n := look(d, 50); n != 0 {
			t.Errorf("told %d times of the good one", n)
		}
	})
}

func FuzzFile(f *testing.F) {
	c := config(f)
	d := open(f, c)
	add(f, d, "a@example.test")
	text, err := os.ReadFile(c.Path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("version = 1\n[[account]]\naddress = \"a@b\"\npassword = \"$argon2id$v=19$m=1,t=1,p=0$AAAA$AAAA\"\n"))
	f.Add([]byte("version=1\n[[account]]\naddress=\"0@0\""))
	f.Add([]byte("version = 1\n[[account]]\naddress = \"a@b\"\nquota = 5\nforward = [\"c@d\"]\nsend_as = [\"@D\"]\n[account.vacation]\ntext = \"x\\n''\"\nfrom = 2026-12-24T00:00:00Z\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		af, err := parseFile(text)
		if err != nil {
			return
		}
		s, err := af.understand()
		if err != nil {
			return
		}
		again, err := toml.Marshal(af)
		if err != nil {
			t.Fatal(err)
		}
		if af, err = parseFile(again); err != nil {
			t.Fatalf("%v in what was written:\n%s", err, again)
		}
		if two, err := af.understand(); err != nil || len(two.order) != len(s.order) {
			t.Fatalf("%v in what was written:\n%s", err, again)
		}
		for i, acc := range s.order {
			if got, err := af.Accounts[i].settings(); err != nil || !cmp.Equal(got, acc.settings) {
				t.Errorf("%v: %s", err, cmp.Diff(got, acc.settings))
			}
			if acc.text == "" {
				continue // known outside
			}
			if h, err := parseHash(acc.hash.String()); err != nil || h.String() != acc.hash.String() {
				t.Errorf("%s: %v", acc.hash.String(), err)
			}
			if k, err := parseScram(formatScram(acc.scram)); err != nil || formatScram(k) != formatScram(acc.scram) {
				t.Errorf("%s: %v", formatScram(acc.scram), err)
			}
		}
	})
}
