package dkim

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tenma/relay/mail"
	"tenma/relay/wire/dkim"
	"tenma/relay/wire/header"
	"tenma/relay/wire/smtp"
)

// maxHeader is the longest header section that can be signed, in octets, the
// relay's prefix included. Intake takes less.
const maxHeader = 1 << 20

// Signer signs mail. All methods may be called from any goroutine.
type Signer struct {
	keys    atomic.Pointer[keySet]
	desks   sync.Pool // of *desk
	log     *slog.Logger
	library func() (library, error) // opens it when called first
}

// keySet is one configuration, loaded; it never changes but for what was told of it.
type keySet struct {
	domains   map[smtp.Domain][]loaded
	granted   *grants
	unaligned unaligned
	infos     []Info
}

type loaded struct {
	Key
	signer crypto.Signer // nil if err is set
	err    error
}

// New loads the keys. Its errors are contradictions of the configuration
// itself: a domain or selector that is none, two keys of one name. A key file
// that cannot be used is no error here; see Keys.
func New(c Config, d Deps) (*Signer, error) { return build(c, d, host) }

func build(c Config, d Deps, open func() (library, error)) (*Signer, error) {
	s := &Signer{log: d.Log, library: sync.OnceValues(open)}
	if s.log == nil {
		s.log = slog.Default()
	}
	set, err := s.load(c)
	if err != nil {
		return nil, err
	}
	s.tell(set)
	s.keys.Store(set)
	return s, nil
}

// Apply puts another configuration in force, or leaves the old one and says
// why: for New's reasons, and for any key that cannot be used.
func (s *Signer) Apply(c Config) error {
	set, err := s.load(c)
	if err != nil {
		return err
	}
	var bad []error
	for _, i := range set.infos {
		if i.Err != nil {
			bad = append(bad, fmt.Errorf("dkim key %s: %w", i.Name, i.Err))
		}
	}
	if err := errors.Join(bad...); err != nil {
		return err
	}
	s.tell(set)
	s.keys.Store(set)
	return nil
}

// Keys tells how each configured key fared when it was loaded.
func (s *Signer) Keys() []Info { return s.keys.Load().infos }

func (s *Signer) load(c Config) (*keySet, error) {
	set := &keySet{domains: map[smtp.Domain][]loaded{}, granted: newGrants(c.Granted)}
	seen := map[string]bool{}
	for _, k := range c.Keys {
		d, err := smtp.ParseDomain(string(k.Domain))
		if err != nil || d.IsLiteral() {
			return nil, fmt.Errorf("dkim: %q is no domain", k.Domain)
		}
		if sel, err := smtp.ParseDomain(k.Selector); err != nil || sel.IsLiteral() {
			return nil, fmt.Errorf("dkim: %q is no selector", k.Selector)
		}
		k.Domain = d
		name := strings.ToLower(Name(k.Selector, d))
		if seen[name] {
			return nil, fmt.Errorf("dkim: two keys for %s", name)
		}
		seen[name] = true
		info, signer := inspect(k)
		if info.Err == nil {
			signer = s.quicker(k, signer)
		}
		set.infos = append(set.infos, info)
		set.domains[d] = append(set.domains[d], loaded{Key: k, signer: signer, err: info.Err})
	}
	return set, nil
}

// Wants reports whether Sign may have something to sign. It looks at the
// envelope alone; where that does not tell for sure, the answer is yes.
func (s *Signer) Wants(e *mail.Envelope) bool {
	set := s.keys.Load()
	if len(set.domains) == 0 {
		return false
	}
	if !vouched(e) {
		return set.sealers(string(e.Prefix)) != nil
	}
	return set.find(e.Sender.Domain) != nil || set.mentioned(e.From)
}

// vouched reports a message of a client that may relay, or of our own. What a
// stranger sends to a mailbox here, and an alias sends on, is not ours to sign; it
// is sealed (seal.go).
func vouched(e *mail.Envelope) bool {
	return e.Trusted || e.Account != "" || e.Origin != mail.FromSMTP
}

// mentioned reports that from, the logged text of the From field, has an
// address of a domain with a key, or might have one.
func (s *keySet) mentioned(from string) bool {
	const nearlyCut = 250 // mail.Envelope.From ends at 256 octets
	if len(from) > nearlyCut || !strings.Contains(from, "@") {
		return true
	}
	for _, after, ok := strings.Cut(from, "@"); ok; _, after, ok = strings.Cut(after, "@") {
		n := 0
		for n < len(after) && (after[n] == '.' || after[n] == '-' || after[n] == '_' || after[n]|0x20 >= 'a' && after[n]|0x20 <= 'z' || after[n] >= '0' && after[n] <= '9') {
			n++
		}
		if n == 0 || n < len(after) && !strings.ContainsRune(`>,;"`, rune(after[n])) {
			return true // a comment, a blank, a letter beyond ASCII
		}
		if s.find(smtp.Domain(strings.ToLower(strings.TrimSuffix(after[:n], ".")))) != nil {
			return true
		}
	}
	return false
}

// Sign gives the DKIM-Signature fields for the message that is e.Prefix and
// body, lines ended by CRLF, to stand before both. Nothing is given where no
// key is for the sender's domain, or the sender was not granted it. For what a
// stranger sends, and an address here forwards, the fields are a set of ARC (seal.go).
// An error means that mail must wait: a key is unusable, or body cannot be read.
func (s *Signer) Sign(ctx context.Context, e *mail.Envelope, body io.Reader) ([]byte, error) {
	set := s.keys.Load()
	if len(set.domains) == 0 {
		return nil, nil
	}
	if !vouched(e) {
		return s.seal(ctx, set, e, body)
	}
	m := s.desk()
	defer s.clear(m)
	section, start, err := m.readHeader(e.Prefix, body)
	if err != nil {
		return nil, fmt.Errorf("dkim: %w", err)
	}
	keys, aligned := set.choose(e, section)
	if keys == nil {
		return nil, nil
	}
	if !aligned {
		s.tellUnaligned(set, section, keys[0].Domain)
	}
	for _, k := range keys {
		if k.err != nil {
			return nil, fmt.Errorf("dkim: key %s: %w", Name(k.Selector, k.Domain), k.err)
		}
	}
	m.names, m.fields = signed(section, m.names, m.fields)
	hash, err := m.readBody(ctx, start, body)
	if err != nil {
		return nil, fmt.Errorf("dkim: %w", err)
	}
	return m.sign(keys, hash)
}

// desk is where one message is signed. Desks are used again.
type desk struct {
	text   []byte // the header section, then pieces of the body
	names  []byte // of the signed fields
	fields []byte // these, in relaxed form
	body   *dkim.BodyHash
}

func (s *Signer) desk() *desk {
	if d, ok := s.desks.Get().(*desk); ok {
		return d
	}
	return &desk{text: make([]byte, 0, 32<<10), body: dkim.NewBodyHash()}
}

func (s *Signer) clear(d *desk) {
	const keep = 128 << 10
	if cap(d.text)+cap(d.fields) > keep {
		return
	}
	d.text, d.names, d.fields = d.text[:0], d.names[:0], d.fields[:0]
	d.body.Reset()
	s.desks.Put(d)
}

// readHeader reads the message until its header section is whole. What it read
// of the body already is start. Both lie in d.text.
func (d *desk) readHeader(prefix []byte, body io.Reader) (section header.Section, start []byte, err error) {
	d.text = append(d.text, prefix...)
	for searched := 0; ; {
		b := d.text
		if end, at, ok := header.End(b, searched); ok {
			return header.Section(b[:end]), b[at:], nil
		}
		if searched = len(b); searched > maxHeader {
			return nil, nil, fmt.Errorf("header section is longer than %d octets", maxHeader)
		}
		if len(b) == cap(b) {
			b = append(make([]byte, 0, 2*cap(b)), b...)
		}
		n, err := body.Read(b[len(b):cap(b)])
		d.text = b[:len(b)+n]
		if err == io.EOF && n == 0 {
			return header.Section(d.text), nil, nil // header fields alone
		}
		if err != nil && err != io.EOF {
			return nil, nil, err
		}
	}
}

// readBody reads the rest of the body, over the header section, and gives the
// hash of the whole.
func (d *desk) readBody(ctx context.Context, start []byte, body io.Reader) (hash [sha256.Size]byte, err error) {
	d.body.Write(start)
	buf := d.text[:cap(d.text)]
	for {
		if err := ctx.Err(); err != nil {
			return hash, err
		}
		n, err := body.Read(buf)
		d.body.Write(buf[:n])
		if err == io.EOF {
			return d.body.Sum(), nil
		}
		if err != nil {
			return hash, err
		}
	}
}

// sign makes a field with each key. All or none: half of the signatures would be
// fewer than promised.
func (d *desk) sign(keys []loaded, hash [sha256.Size]byte) (fields []byte, err error) {
	for _, k := range keys {
		f := dkim.Signature{Domain: string(k.Domain), Selector: k.Selector, Time: time.Now(), Names: d.names, Body: hash}
		opts := crypto.SHA256
		switch k.signer.Public().(type) {
		case *rsa.PublicKey:
			f.Algorithm = "rsa-sha256"
		case ed25519.PublicKey:
			f.Algorithm, opts = "ed25519-sha256", crypto.Hash(0) // the digest is the message (RFC 8463 section 3)
		}
		value := f.Value()
		digest := dkim.Digest(d.fields, value)
		signature, err := k.signer.Sign(rand.Reader, digest[:], opts)
		if err != nil {
			return nil, fmt.Errorf("dkim: key %s: %w", Name(k.Selector, k.Domain), err)
		}
		fields = dkim.AppendSigned(fields, value, signature)
	}
	return fields, nil
}
