package returns

import (
	"crypto/rand"
	"errors"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"tenma/metrics"
	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// Config is what an Adviser is told. Without Domain no return path is signed, and
// none is taken.
type Config struct {
	Domain smtp.Domain // where signed return paths are
	// All gives a signed return path to all mail of those who may relay; otherwise
	// its tenant must want it.
	All bool
	// Complaints is where mailbox providers send complaints; zero: nowhere.
	Complaints smtp.Address
	KeyFile    string // see LoadKeys
	// People: somebody here reads mail to postmaster and abuse at Domain; both are
	// taken then (RFC 5321 section 4.5.1, RFC 2142 section 4).
	People  bool
	Life    time.Duration // for how long after a message was accepted what is about it is taken
	Tenants []string      // names, of which tokens hold hashes
	// Links is what links to unsubscribe begin with, a URL with a slash at its end;
	// "": there are none. They need no Domain.
	Links string
}

// FieldName is the header field in which a message says, sealed, whose copy it is.
const FieldName = "X-Tenma-Ref"

// Adviser answers whether mail at the returns domain is to be taken, and which
// message of ours it is about. It may be used from any goroutine.
type Adviser struct {
	deps Deps
	now  atomic.Pointer[setting]
}

type setting struct {
	Config
	signer *Signer // nil without Domain
	links  *Signer // nil without Links
}

// Deps are what an Adviser works with.
type Deps struct {
	Random  io.Reader         // of keys; nil: crypto/rand
	Metrics *metrics.Returned // nil: counted for nobody
}

// New makes an Adviser, and the file of its keys if there is none.
func New(c Config, d Deps) (*Adviser, error) {
	if d.Random == nil {
		d.Random = rand.Reader
	}
	if d.Metrics == nil {
		d.Metrics = metrics.NewReturned(nil)
	}
	a := &Adviser{deps: d}
	return a, a.Apply(c)
}

// Apply puts another configuration in force, and reads the keys anew. With an error
// the former stays.
func (a *Adviser) Apply(c Config) error {
	s := &setting{Config: c}
	if c.Domain != "" || c.Links != "" {
		keys, err := LoadKeys(c.KeyFile, a.deps.Random)
		if err != nil {
			return err
		}
		signer, err := NewSigner(keys)
		if err != nil {
			return err
		}
		if c.Domain != "" {
			s.signer = signer
		}
		if c.Links != "" {
			s.links = signer
		}
	}
	a.now.Store(s)
	return nil
}

// Domain is where signed return paths are, "" if there are none.
func (a *Adviser) Domain() smtp.Domain { return a.now.Load().Domain }

// All reports that all mail of those who may relay gets a signed return path.
func (a *Adviser) All() bool { return a.now.Load().All }

// Signer gives the keys in force, nil without Domain.
func (a *Adviser) Signer() *Signer { return a.now.Load().signer }

// Life is for how long after a message was accepted what is about it is taken.
func (a *Adviser) Life() time.Duration { return a.now.Load().Life }

// ReturnPath gives the signed return path of a recipient's copy; zero without
// Domain.
func (a *Adviser) ReturnPath(r mail.Reference) smtp.Address {
	s := a.now.Load()
	if s.signer == nil {
		return smtp.Address{}
	}
	return smtp.Address{Local: s.signer.Sign(ReturnPath, r), Domain: s.Domain}
}

// foldAt is how many octets of a field's value stand on one line; with its name and
// the white space of a folded line it stays within 78 (RFC 5322 section 2.1.1).
const foldAt = 64

// Field gives the header field that tells us more than a return path has room for,
// when a report or a complaint returns it; nil without Domain. Nobody else can read
// it.
func (a *Adviser) Field(r mail.Reference) []byte {
	s := a.now.Load()
	if s.signer == nil {
		return nil
	}
	b := []byte(FieldName + ":")
	for part := range slices.Chunk([]byte(s.signer.Seal(Header, r)), foldAt) {
		if len(b) > len(FieldName)+1 {
			b = append(b, "\r\n"...)
		}
		b = append(append(b, ' '), part...)
	}
	return append(b, "\r\n"...)
}

// Recipient decides on RCPT for an address at the returns domain, whoever sends:
// reports have the null sender, but answering machines have not. What is taken is a
// token that verifies, the address for complaints, and the two that every domain
// has. Errors are a 550, as short as they are cheap: a hash for each key.
func (a *Adviser) Recipient(to smtp.Address) error {
	s := a.now.Load()
	if s.signer == nil {
		return smtp.Errorf(550, smtp.Status{5, 1, 1}, "No such address here")
	}
	if s.role(to) || s.complaints(to) {
		return nil
	}
	switch _, err := s.signer.Read(ReturnPath, to.Local, time.Now(), s.Life); {
	case err == nil:
		return nil
	case errors.Is(err, ErrExpired):
		a.deps.Metrics.Refused.WithLabelValues("expired").Inc()
		return smtp.Errorf(550, smtp.Status{5, 7, 1}, "This return path has expired")
	}
	a.deps.Metrics.Refused.WithLabelValues("forged").Inc()
	return smtp.Errorf(550, smtp.Status{5, 1, 1}, "No such address here")
}

func (s *setting) role(a smtp.Address) bool {
	return s.People && (strings.EqualFold(a.Local, "postmaster") || strings.EqualFold(a.Local, "abuse"))
}

func (s *setting) complaints(a smtp.Address) bool {
	return !s.Complaints.IsNull() && strings.EqualFold(a.Local, s.Complaints.Local)
}

// IsReturnPath reports that mail to an address at the returns domain is about a
// message of ours: not mail for people, nor for the address of complaints.
func (a *Adviser) IsReturnPath(to smtp.Address) bool {
	s := a.now.Load()
	if s.signer == nil || to.Domain != s.Domain {
		return false
	}
	_, err := s.signer.Read(ReturnPath, to.Local, time.Now(), s.Life)
	return err == nil || errors.Is(err, ErrExpired) // it was good when it was taken
}

// maxGuesses bounds the addresses and fields of one message that are looked at.
const maxGuesses = 100

// Trace says which copy of which message of ours another message is about, and
// whether that is proven: by the return path to that it came, by one that it quotes,
// or by what is sealed in a header field that it returns. paths are return paths,
// the first one the address to which it came; fields are the values of fields called
// FieldName; guesses are addresses that may be its recipient's.
//
// Nothing but a proof may have consequences: anybody can write to the address of
// complaints, and say anything about anybody.
func (a *Adviser) Trace(paths []smtp.Address, fields []string, guesses []smtp.Address) (mail.Reference, bool) {
	s := a.now.Load()
	if s.signer == nil {
		return mail.Reference{}, false
	}
	now := time.Now()
	token, proven := s.token(paths, now)
	for _, f := range fields[:min(len(fields), maxGuesses)] {
		r, err := s.signer.Open(Header, strings.Join(strings.Fields(f), ""), now, s.Life)
		// What came to the return path of one message says nothing of another.
		if err == nil && (!proven || r.ID == token.ID) {
			return r, true
		}
	}
	if !proven {
		return mail.Reference{}, false
	}
	r := mail.Reference{ID: token.ID}
	for _, g := range guesses[:min(len(guesses), maxGuesses)] {
		if token.For(g) {
			r.Recipient = g
			break
		}
	}
	for _, name := range s.Tenants {
		if token.Of(name) {
			r.Tenant = name
			break
		}
	}
	return r, true
}

// token reads the first of paths that is one.
func (s *setting) token(paths []smtp.Address, now time.Time) (Token, bool) {
	for _, p := range paths[:min(len(paths), maxGuesses)] {
		if p.Domain != s.Domain {
			continue
		}
		t, err := s.signer.Read(ReturnPath, p.Local, now, s.Life)
		if err == nil || errors.Is(err, ErrExpired) && p == paths[0] {
			return t, true
		}
	}
	return Token{}, false
}
