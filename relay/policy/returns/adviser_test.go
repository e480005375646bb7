package returns

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tenma/relay/mail"
	"tenma/relay/wire/header"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

func settings(t testing.TB) Config {
	return Config{
		Domain: "r.sender.test", Complaints: smtp.Address{Local: "FBL", Domain: "r.sender.test"}, People: true,
		KeyFile: filepath.Join(t.TempDir(), "keys"), Life: 24 * time.Hour, Tenants: []string{"club", "shop"},
	}
}

func adviser(t testing.TB) *Adviser {
	t.Helper()
	a, err := New(settings(t), Deps{Random: bytes.NewReader(make([]byte, KeySize))})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// now is a reference to a message that is accepted now.
func now() Reference {
	r := reference()
	r.ID = spool.NewID(time.Now(), [10]byte{9})
	return r
}

func at(local string) smtp.Address { return smtp.Address{Local: local, Domain: "r.sender.test"} }

// Whatever its sender, mail is taken for a token that verifies, for complaints and
// for people.
func TestRecipient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := adviser(t)
		path := a.ReturnPath(now())
		check := func(why string, to smtp.Address, want smtp.Status) {
			t.Helper()
			err := a.Recipient(to)
			reply, refused := errors.AsType[*smtp.Error](err)
			if refused != (want != smtp.Status{}) || refused && (reply.Reply.Code != 550 || reply.Reply.Status != want) {
				t.Errorf("%s: %v, want %v", why, err, want)
			}
		}
		check("a token", path, smtp.Status{})
		check("in capitals", at(strings.ToUpper(path.Local)), smtp.Status{})
		check("complaints", at("fbl"), smtp.Status{})
		check("people", at("Postmaster"), smtp.Status{})
		check("abuse", at("abuse"), smtp.Status{})
		check("anybody", at("ann"), smtp.Status{5, 1, 1})
		check("nobody", at(""), smtp.Status{5, 1, 1})
		check("forged", at("1"+path.Local[1:]), smtp.Status{5, 1, 1})
		check("for another purpose", at(a.Signer().Sign(Unsubscribe, now())), smtp.Status{5, 1, 1})
		time.Sleep(24*time.Hour + time.Second)
		check("expired", path, smtp.Status{5, 7, 1})
		if !a.IsReturnPath(path) || a.IsReturnPath(at("fbl")) || a.IsReturnPath(smtp.Address{Local: path.Local, Domain: "other.test"}) {
			t.Error("IsReturnPath")
		}
		c := a.now.Load().Config
		c.People, c.Complaints = false, smtp.Address{}
		if err := a.Apply(c); err != nil {
			t.Fatal(err)
		}
		check("nobody reads mail to postmaster", at("postmaster"), smtp.Status{5, 1, 1})
		check("no complaints", at("fbl"), smtp.Status{5, 1, 1})
		check("no complaints, and no name", at(""), smtp.Status{5, 1, 1})
	})
}

// A message is traced by the address to which it came, by what it quotes, and by what
// our own field says; never by words alone, and never by a proof about another one.
func TestTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, r, other := adviser(t), now(), now()
		other.ID, other.Recipient.Local = r.ID.Derive("other"), "bob"
		fbl, path, field := at("fbl"), a.ReturnPath(r), header.Section(a.Field(r)).Text(FieldName)
		hashed := mail.Reference{ID: r.ID, Tenant: "shop"} // what a token says by itself
		found := hashed
		found.Recipient = r.Recipient
		upper := found
		upper.Recipient = smtp.Address{Local: "ANN.OTHER+X", Domain: "b.test"}
		for _, c := range []struct {
			why     string
			paths   []smtp.Address
			fields  []string
			guesses []smtp.Address
			want    mail.Reference
			proven  bool
		}{
			{why: "a token alone", paths: []smtp.Address{path}, want: hashed, proven: true},
			{why: "and the report names whom", paths: []smtp.Address{path}, guesses: []smtp.Address{other.Recipient, r.Recipient}, want: found, proven: true},
			{why: "in its own letters", paths: []smtp.Address{path}, guesses: []smtp.Address{upper.Recipient}, want: upper, proven: true},
			{why: "our field says all", paths: []smtp.Address{path}, fields: []string{"x", field}, want: r, proven: true},
			{why: "a field about another message", paths: []smtp.Address{path}, fields: []string{header.Section(a.Field(other)).Text(FieldName)}, want: hashed, proven: true},
			{why: "a complaint quotes the return path", paths: []smtp.Address{fbl, path}, guesses: []smtp.Address{r.Recipient}, want: found, proven: true},
			{why: "a complaint returns our field", paths: []smtp.Address{fbl}, fields: []string{field}, want: r, proven: true},
			{why: "words", paths: []smtp.Address{fbl, at("ann")}, fields: []string{"x", ""}, guesses: []smtp.Address{r.Recipient}},
			{why: "the token at another domain", paths: []smtp.Address{fbl, {Local: path.Local, Domain: "other.test"}}, guesses: []smtp.Address{r.Recipient}},
			{why: "another's key", paths: []smtp.Address{fbl}, fields: []string{signer(t, 5).Seal(Header, r)}},
			{why: "sealed for another purpose", paths: []smtp.Address{fbl}, fields: []string{a.Signer().Seal(Unsubscribe, r)}},
			{why: "nothing"},
		} {
			got, proven := a.Trace(c.paths, c.fields, c.guesses)
			if got != c.want || proven != c.proven {
				t.Errorf("%s: %+v, %v, want %+v", c.why, got, proven, c.want)
			}
		}
		// What was taken in time is read, even if that takes a moment.
		time.Sleep(24*time.Hour + time.Second)
		if got, proven := a.Trace([]smtp.Address{path}, nil, nil); got != hashed || !proven {
			t.Errorf("just expired: %+v, %v", got, proven)
		}
		if _, proven := a.Trace([]smtp.Address{fbl, path}, []string{field}, nil); proven {
			t.Error("a complaint about a message long ago")
		}
	})
}

// The field keeps to lines that every host passes on, and is read folded or not.
func TestField(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, r := adviser(t), now()
		r.Recipient.Local, r.Campaign = strings.Repeat("a", 64), strings.Repeat("c", 200)
		text := a.Field(r)
		for line := range strings.SplitSeq(strings.TrimSuffix(string(text), "\r\n"), "\r\n") {
			if len(line) > 78 || strings.ContainsAny(line, "\r\n") {
				t.Errorf("a line of %d octets: %q", len(line), line)
			}
		}
		for _, value := range []string{header.Section(text).Text(FieldName), strings.Join(strings.Fields(header.Section(text).Text(FieldName)), "")} {
			if got, proven := a.Trace(nil, []string{value}, nil); got != r || !proven {
				t.Errorf("%q: %+v", value, got)
			}
		}
	})
}

// Without a domain nothing is signed or taken, and no key is made.
func TestOff(t *testing.T) {
	c := settings(t)
	c.Domain = ""
	a, err := New(c, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	if p := a.ReturnPath(reference()); !p.IsNull() || a.Field(reference()) != nil || a.Recipient(at("postmaster")) == nil || a.IsReturnPath(at("x")) {
		t.Errorf("%v", p)
	}
	if _, proven := a.Trace([]smtp.Address{at("x")}, []string{"x"}, nil); proven {
		t.Error("something is proven")
	}
	if _, err := os.Stat(c.KeyFile); err == nil {
		t.Error("a key was made")
	}
}

// A file of keys that cannot be read stops the start, and leaves at a reload what was.
func TestApplyKeepsTheOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := adviser(t)
		path := a.ReturnPath(now())
		c := settings(t)
		if err := os.WriteFile(c.KeyFile, []byte("nonsense"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := a.Apply(c); err == nil {
			t.Error("nonsense is a key")
		}
		if err := a.Recipient(path); err != nil {
			t.Error(err)
		}
		if _, err := New(c, Deps{}); err == nil {
			t.Error("nonsense is a key")
		}
	})
}
