package sasl_test

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/xdg-go/scram"

	"tenma/relay/wire/sasl"
	"tenma/relay/wire/smtp"
)

var (
	errWrong = errors.New("wrong name or password")
	errBusy  = smtp.Errorf(454, smtp.Status{4, 7, 0}, "try later")
)

// people knows ann, whose password is secret; busy cannot be judged; twin is
// nobody whose fake keys can be guessed. It keeps what it was asked.
type people struct {
	heard []string
	in    string // who was logged in
	full  error  // what LoggedIn answers
}

func (p *people) asker() sasl.Asker {
	return sasl.Asker{
		Plain: func(user, password string) (string, error) {
			p.heard = append(p.heard, "plain "+user)
			switch {
			case user == "busy":
				return "", fmt.Errorf("wrapped: %w", errBusy)
			case user == "ann" && password == "secret":
				return "ann@here", nil
			}
			return "", errWrong
		},
		Keys: func(user string) (sasl.ScramKeys, bool, error) {
			if user == "busy" {
				return sasl.ScramKeys{}, false, errBusy
			}
			p.heard = append(p.heard, "keys "+user)
			if user == "ann" || user == "late" {
				return secretKeys(), true, nil
			}
			return secretKeys(), false, nil
		},
		Proved: func(user string, good bool) (string, error) {
			p.heard = append(p.heard, fmt.Sprint("proved ", user, " ", good))
			switch {
			case user == "late":
				return "", errBusy
			case !good:
				return "", errWrong
			}
			return user + "@here", nil
		},
		LoggedIn: func(account string) error {
			if p.full != nil {
				return p.full
			}
			p.in = account
			return nil
		},
	}
}

// secretKeys are those of the password secret: they cost milliseconds, so they are made once.
var secretKeys = sync.OnceValue(func() sasl.ScramKeys { return keys("secret") })

// keys follows RFC 5802 section 3.
func keys(password string) sasl.ScramKeys {
	k := sasl.ScramKeys{Salt: []byte("salt"), Iterations: 4096}
	salted, err := pbkdf2.Key(sha256.New, password, k.Salt, k.Iterations, sha256.Size)
	if err != nil {
		panic(err)
	}
	mac := func(text string) []byte {
		m := hmac.New(sha256.New, salted)
		m.Write([]byte(text))
		return m.Sum(nil)
	}
	stored := sha256.Sum256(mac("Client Key"))
	k.StoredKey, k.ServerKey = stored[:], mac("Server Key")
	return k
}

// client answers challenges; nil gives up.
type client func(challenge []byte) []byte

// say answers with one text after the other.
func say(texts ...string) client {
	return func([]byte) []byte {
		if len(texts) == 0 {
			return nil
		}
		t := texts[0]
		texts = texts[1:]
		return []byte(t)
	}
}

// prove is a client of SCRAM that checks the server's proof too.
func prove(t *testing.T, user, password, identity string) client {
	c, err := scram.SHA256.NewClient(user, password, identity)
	if err != nil {
		t.Fatal(err)
	}
	conv := c.NewConversation()
	return func(challenge []byte) []byte {
		answer, err := conv.Step(string(challenge))
		if err != nil {
			t.Errorf("the client does not like %q: %v", challenge, err)
			return nil
		}
		return []byte(answer)
	}
}

func run(t *testing.T, p *people, mech string, c client) error {
	t.Helper()
	x, err := sasl.New(mech, p.asker())
	if err != nil {
		t.Fatal(err)
	}
	var response []byte
	for range 10 {
		challenge, done, err := x.Next(response)
		if err != nil || done {
			if done == (err != nil) || challenge != nil {
				t.Errorf("end with %q, %v, %v", challenge, done, err)
			}
			if _, done, err := x.Next([]byte("more")); done || !errors.Is(err, sasl.ErrFailed) {
				t.Errorf("after the end: %v, %v", done, err)
			}
			x.Cancel() // harmless
			return err
		}
		if response = c(challenge); response == nil {
			x.Cancel()
			x.Cancel() // harmless
			return nil
		}
	}
	t.Fatal("no end")
	return nil
}

func TestExchanges(t *testing.T) {
	for name, tt := range map[string]struct {
		mech   string
		client client
		heard  string // by the people, in order
		in     string
		err    error
	}{
		"PLAIN":               {sasl.Plain, say("\x00ann\x00secret"), "plain ann", "ann@here", nil},
		"PLAIN as oneself":    {sasl.Plain, say("ann\x00ann\x00secret"), "plain ann", "ann@here", nil},
		"PLAIN as another":    {sasl.Plain, say("bob\x00ann\x00secret"), "", "", sasl.ErrFailed},
		"PLAIN wrong":         {sasl.Plain, say("\x00ann\x00x"), "plain ann", "", errWrong},
		"PLAIN busy":          {sasl.Plain, say("\x00busy\x00x"), "plain busy", "", errBusy},
		"PLAIN garbage":       {sasl.Plain, say("ann secret"), "", "", sasl.ErrFailed},
		"PLAIN empty":         {sasl.Plain, say(""), "", "", sasl.ErrFailed},
		"PLAIN given up":      {sasl.Plain, say(), "", "", nil},
		"LOGIN":               {sasl.Login, say("ann", "secret"), "plain ann", "ann@here", nil},
		"LOGIN wrong":         {sasl.Login, say("ann", "x"), "plain ann", "", errWrong},
		"LOGIN empty":         {sasl.Login, say("", ""), "plain ", "", errWrong},
		"LOGIN busy":          {sasl.Login, say("busy", ""), "plain busy", "", errBusy},
		"LOGIN given up":      {sasl.Login, say("ann"), "", "", nil},
		"SCRAM":               {sasl.Scram, prove(t, "ann", "secret", ""), "keys ann, proved ann true", "ann@here", nil},
		"SCRAM as oneself":    {sasl.Scram, prove(t, "ann", "secret", "ann"), "keys ann, proved ann true", "ann@here", nil},
		"SCRAM as another":    {sasl.Scram, prove(t, "ann", "secret", "bob"), "keys ann, proved ann false", "", errWrong},
		"SCRAM wrong":         {sasl.Scram, prove(t, "ann", "x", ""), "keys ann, proved ann false", "", errWrong},
		"SCRAM nobody":        {sasl.Scram, prove(t, "twin", "secret", ""), "keys twin, proved twin false", "", errWrong},
		"SCRAM busy at first": {sasl.Scram, prove(t, "busy", "secret", ""), "", "", errBusy},
		"SCRAM busy at last":  {sasl.Scram, prove(t, "late", "secret", ""), "keys late, proved late true", "", errBusy},
		"SCRAM garbage":       {sasl.Scram, say("garbage"), "", "", sasl.ErrFailed},
		"SCRAM binding":       {sasl.Scram, say("p=tls-unique,,n=ann,r=x"), "", "", sasl.ErrFailed},
		"SCRAM garbage later": {sasl.Scram, say("n,,n=ann,r=x", "garbage"), "keys ann, proved ann false", "", errWrong},
		"SCRAM given up":      {sasl.Scram, say("n,,n=ann,r=x"), "keys ann, proved ann false", "", nil},
		"SCRAM not begun":     {sasl.Scram, say(), "", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := &people{}
			err := run(t, p, tt.mech, tt.client)
			if heard := strings.Join(p.heard, ", "); heard != tt.heard || p.in != tt.in || !errors.Is(err, tt.err) {
				t.Errorf("heard %q, logged in %q, error %v", heard, p.in, err)
			}
			if tt.err == nil {
				return
			}
			var e *smtp.Error
			if name == "SCRAM busy at first" && err != errBusy {
				t.Errorf("error %v is not as it was", err)
			}
			own := errors.As(err, &e) && e == errBusy
			if own == errors.Is(err, sasl.ErrFailed) || own != sasl.Temporary(err) || own != (tt.err == errBusy) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// After the server's proof the client has nothing more to say; what it has
// proved is not reported again as a failure.
func TestScramLastWord(t *testing.T) {
	for name, last := range map[string]client{"talks": say("more"), "gives up": say()} {
		t.Run(name, func(t *testing.T) {
			p := &people{}
			proof := prove(t, "ann", "secret", "")
			n := 0
			_ = run(t, p, sasl.Scram, func(challenge []byte) []byte {
				if n++; n < 3 {
					return proof(challenge)
				}
				return last(challenge)
			})
			if p.in != "" || !slices.Equal(p.heard, []string{"keys ann", "proved ann true"}) {
				t.Errorf("logged in %q, heard %q", p.in, p.heard)
			}
		})
	}
}

// A login that cannot be made use of is none.
func TestLoggedInRefuses(t *testing.T) {
	full := errors.New("the house is full")
	for mech, c := range map[string]client{
		sasl.Plain: say("\x00ann\x00secret"), sasl.Login: say("ann", "secret"), sasl.Scram: prove(t, "ann", "secret", ""),
	} {
		if err := run(t, &people{full: full}, mech, c); err != full {
			t.Errorf("%s: %v", mech, err)
		}
	}
}

func TestMechanisms(t *testing.T) {
	for _, m := range sasl.Mechanisms() {
		if _, err := sasl.New(m, sasl.Asker{}); err != nil {
			t.Error(err)
		}
	}
	if _, err := sasl.New("CRAM-MD5", sasl.Asker{}); err != sasl.ErrMechanism {
		t.Error(err)
	}
}

// FuzzExchange says anything in up to four responses. Nobody gets in who did not
// bring the password, and what has begun is reported once.
func FuzzExchange(f *testing.F) {
	for i, m := range sasl.Mechanisms() {
		_ = m
		for _, s := range []string{
			"\x00ann\x00secre|", "ann|secre", "n,,n=ann,r=x|c=biws,r=x,p=AAAA|", "y,a=ann,n=ann,r=x|c=biws,r=x,p=|||",
			"n,,m=x,n=ann,r=x", "n,,n=a=2Cb=3D,r=", "|", "||||", "p=x,,n=ann,r=x",
		} {
			f.Add(i, s)
		}
	}
	f.Fuzz(func(t *testing.T, mech int, said string) {
		if strings.Contains(said, "secret") || mech < 0 {
			return
		}
		p := &people{}
		x, err := sasl.New(sasl.Mechanisms()[mech%3], p.asker())
		if err != nil {
			t.Fatal(err)
		}
		var response []byte
		for _, r := range append(strings.SplitN(said, "|", 4), "") {
			challenge, done, err := x.Next(response)
			if done {
				t.Fatalf("logged in as %q by %q", p.in, said)
			}
			if err != nil {
				break
			}
			if challenge == nil {
				t.Fatal("neither challenge nor end")
			}
			response = []byte(r)
		}
		x.Cancel()
		began, ended := 0, 0
		for _, h := range p.heard {
			switch {
			case strings.HasPrefix(h, "keys "):
				began++
			case strings.HasPrefix(h, "proved "):
				ended++
			}
		}
		if began != ended || began > 1 {
			t.Errorf("heard %q", p.heard)
		}
	})
}

// passwords is an authenticator without keys.
type passwords struct{}

func (passwords) Mechanisms() []string { return []string{sasl.Plain, sasl.Login} }

func TestOffered(t *testing.T) {
	for _, c := range []struct {
		auth   any
		except []string
		want   string
	}{
		{nil, nil, "[SCRAM-SHA-256 PLAIN LOGIN]"},
		{struct{}{}, []string{sasl.Login}, "[SCRAM-SHA-256 PLAIN]"},
		{passwords{}, nil, "[PLAIN LOGIN]"},
		{passwords{}, []string{sasl.Login}, "[PLAIN]"},
	} {
		if got := fmt.Sprint(sasl.Offered(c.auth, c.except...)); got != c.want {
			t.Errorf("%T without %v: %s, want %s", c.auth, c.except, got, c.want)
		}
	}
}
