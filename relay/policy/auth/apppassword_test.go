package auth

import (
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestAppPasswords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := config(t)
		d := open(t, c)
		add(t, d, user, "bob@example.test")
		a := addr(t, user)
		phone, err := d.AddAppPassword(a, "phone", nil)
		if err != nil {
			t.Fatal(err)
		}
		if plain, ok := appPlain(phone); !ok || len(phone) != 19 || strings.Count(phone, "-") != 3 || len(plain) != appLen {
			t.Errorf("%q", phone)
		}
		tablet, err := d.AddAppPassword(a, "tablet", []string{"imap"})
		if err != nil || tablet == phone {
			t.Fatal(tablet, err)
		}
		text, err := os.ReadFile(c.Path)
		if plain, _ := appPlain(phone); err != nil || strings.Contains(string(text), plain) || strings.Contains(string(text), phone) {
			t.Errorf("a password is in the file: %v", err)
		}
		smtp, imap := d.Service("smtp"), d.Service("imap")
		in := func(s *Service, user, password string) bool {
			t.Helper()
			account, err := s.Plain(t.Context(), here, user, password)
			if err == nil && account != "ann@example.test" || err != nil && code(err) != 535 {
				t.Errorf("%s: %q, %v", user, account, err)
			}
			return err == nil
		}
		if !in(smtp, user, right) || !in(imap, user, right) {
			t.Error("the main password is out")
		}
		for _, typed := range []string{phone, strings.ReplaceAll(phone, "-", ""), strings.ToUpper(strings.ReplaceAll(phone, "-", " "))} {
			if !in(smtp, user, typed) || !in(imap, "ANN@example.test", typed) || !in(smtp, user+"/phone", typed) {
				t.Errorf("%q is out", typed)
			}
		}
		if !in(imap, user, tablet) || in(smtp, user, tablet) || in(imap, user+"/phone", tablet) || in(imap, user+"/none", tablet) {
			t.Error("a password is taken for another one, or elsewhere")
		}
		if in(smtp, "bob@example.test", phone) || in(smtp, user+"/phone", right) {
			t.Error("somebody's password lets another in")
		}

		if err := d.DeleteAppPassword(a, "phone"); err != nil {
			t.Fatal(err)
		}
		if in(smtp, user, phone) || !in(smtp, user, right) || !in(imap, user, tablet) {
			t.Error("a deleted password lets in, or another went with it")
		}
		if err := d.DeleteAppPassword(a, "phone"); !errors.Is(err, ErrNoApp) {
			t.Error(err)
		}
		if _, err := d.AddAppPassword(a, "tablet", nil); !errors.Is(err, ErrExists) {
			t.Error(err)
		}
		if _, err := d.AddAppPassword(addr(t, "nobody@example.test"), "x", nil); !errors.Is(err, ErrUnknown) {
			t.Error(err)
		}
		for _, name := range []string{"", "a b", "Ann", "-", ".x", "a/b", strings.Repeat("x", 33), "é"} {
			if _, err := d.AddAppPassword(a, name, nil); !errors.Is(err, ErrSetting) {
				t.Errorf("%q: %v", name, err)
			}
		}
		if _, err := d.AddAppPassword(a, "x", []string{"web"}); !errors.Is(err, ErrSetting) {
			t.Error(err)
		}
	})
}

func TestAppPasswordsAreBounded(t *testing.T) {
	d := open(t, config(t))
	add(t, d, user)
	for i := range maxApps {
		if _, err := d.AddAppPassword(addr(t, user), "x"+strings.Repeat("y", i%30)+string(rune('a'+i/30)), nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.AddAppPassword(addr(t, user), "z", nil); !errors.Is(err, ErrSetting) {
		t.Error(err)
	}
}

// SCRAM has one set of keys for a user name: the main password's, or that of the
// app password that the name names.
func TestAppPasswordsByScram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, config(t))
		add(t, d, user)
		phone, err := d.AddAppPassword(addr(t, user), "phone", []string{"imap"})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			user, password string
			good           bool
		}{
			{user, right, true},
			{user, phone, false},
			{user + "/phone", phone, true},
			{user + "/phone", right, false},
			{user + "/none", phone, false},
			{"nobody@example.test/phone", phone, false},
		} {
			if _, good := exchange(t, d, c.user, c.password); good != c.good {
				t.Errorf("%s, %s: %v", c.user, c.password, good)
			}
		}
		if account, err := d.Service("imap").ScramDone(t.Context(), here, user+"/phone", true); err != nil || account != user {
			t.Errorf("%q, %v", account, err)
		}
		if _, err := d.Service("smtp").ScramDone(t.Context(), here, user+"/phone", true); code(err) != 535 {
			t.Errorf("by another protocol: %v", err)
		}
		if _, err := d.Service("imap").ScramDone(t.Context(), here, user+"/none", true); code(err) != 535 {
			t.Errorf("a proof for no password: %v", err)
		}
		// Which names there are cannot be asked.
		real, _, _ := d.ScramSHA256(user + "/phone")
		fake, known, _ := d.ScramSHA256(user + "/none")
		other, _, _ := d.ScramSHA256("nobody@example.test/none")
		if known || fake.Iterations != real.Iterations || other.Iterations != real.Iterations || len(fake.Salt) != len(real.Salt) {
			t.Errorf("%v is not like %v", fake, real)
		}
	})
}

func TestLastLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := config(t)
		d := open(t, c)
		add(t, d, user, "bob@example.test")
		phone, err := d.AddAppPassword(addr(t, user), "phone", nil)
		if err != nil {
			t.Fatal(err)
		}
		get := func(name string) Account {
			t.Helper()
			acc, err := open(t, c).Account(addr(t, name))
			if err != nil {
				t.Fatal(err)
			}
			return acc
		}
		if acc := get(user); acc.Last != nil || acc.Apps[0].Last != nil {
			t.Errorf("%+v", acc)
		}
		first := time.Now().UTC()
		if !d.try(t, here, user, right) {
			t.Fatal("no login")
		}
		time.Sleep(time.Hour)
		second := time.Now().UTC().Truncate(time.Second)
		if _, err := d.Service("imap").Plain(t.Context(), from("2001:db8::7"), user, phone); err != nil {
			t.Fatal(err)
		}
		d.try(t, here, user, "wrong")
		acc := get(user)
		if acc.Last == nil || *acc.Last != (Login{Time: second, Protocol: "imap", Client: "2001:db8::7", App: "phone"}) || acc.Apps[0].Last == nil {
			t.Errorf("%+v", acc.Last)
		}
		if bob := get("bob@example.test"); bob.Last != nil {
			t.Errorf("%+v", bob.Last)
		}
		// One of the same name is another password.
		time.Sleep(time.Hour)
		if err := d.DeleteAppPassword(addr(t, user), "phone"); err != nil {
			t.Fatal(err)
		}
		if _, err := d.AddAppPassword(addr(t, user), "phone", nil); err != nil {
			t.Fatal(err)
		}
		if acc := get(user); acc.Apps[0].Last != nil || acc.Last == nil || !acc.Last.Time.After(first) {
			t.Errorf("%+v", acc)
		}
		if err := d.Delete(addr(t, user)); err != nil {
			t.Fatal(err)
		}
		add(t, d, user)
		if acc := get(user); acc.Last != nil {
			t.Error("a new account has logged in")
		}
	})
}

func FuzzAppPassword(f *testing.F) {
	f.Add("k7mf-xw2q-9hta-vd4c", "$hmac-sha256$AAAA$BBBB")
	f.Add("K7MF XW2Q 9HTA VD4C", "")
	f.Fuzz(func(t *testing.T, typed, hash string) {
		if plain, ok := appPlain(typed); ok {
			if again, ok := appPlain(strings.ToUpper(plain)); !ok || again != plain {
				t.Errorf("%q, %q", plain, again)
			}
		}
		if salt, sum, err := parseAppHash(hash); err == nil && (len(salt) != saltLen || len(sum) != 32) {
			t.Errorf("%q", hash)
		}
	})
}
