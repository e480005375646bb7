package dkim

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/emersion/go-msgauth/dkim"

	"tenma/relay/mail"
	"tenma/relay/wire/header"
	"tenma/relay/wire/smtp"
)

// maxHeader is the longest header section that can be signed, in octets, the
// relay's prefix included. Intake takes less.
const maxHeader = 1 << 20

// Signer signs mail. All methods may be called from any goroutine.
type Signer struct {
	keys    atomic.Pointer[keySet]
	scratch sync.Pool // of *[]byte
	log     *slog.Logger
	library func() (library, error) // opens it when called first
}

// keySet is one configuration, loaded; it never changes.
type keySet struct {
	domains map[smtp.Domain][]loaded
	granted map[string][]smtp.Domain
	infos   []Info
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
	set := &keySet{domains: map[smtp.Domain][]loaded{}, granted: c.Granted}
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

// find gives the keys of d or of the nearest domain above it: a signature by a
// parent is aligned too (relaxed alignment, RFC 7489 section 3.1.1).
func (s *keySet) find(d smtp.Domain) []loaded {
	for d != "" {
		if keys := s.domains[d]; keys != nil {
			return keys
		}
		_, above, _ := strings.Cut(string(d), ".")
		d = smtp.Domain(above)
	}
	return nil
}

// Wants reports whether Sign may have something to sign. It looks at the
// envelope alone; where that does not tell for sure, the answer is yes.
func (s *Signer) Wants(e *mail.Envelope) bool {
	set := s.keys.Load()
	if len(set.domains) == 0 || !vouched(e) {
		return false
	}
	return set.find(e.Sender.Domain) != nil || set.mentioned(e.From)
}

// vouched reports a message of a client that may relay, or of our own. What a
// stranger sends to a mailbox here, and an alias sends on, is not ours to sign.
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
// key is for the sender's domain, or the sender was not granted it. An error
// means that mail must wait: a key is unusable, or body cannot be read.
func (s *Signer) Sign(ctx context.Context, e *mail.Envelope, body io.Reader) ([]byte, error) {
	set := s.keys.Load()
	if len(set.domains) == 0 || !vouched(e) {
		return nil, nil
	}
	buf := s.buffer()
	defer s.putBack(buf)
	section, start, err := readHeader(buf, e.Prefix, body)
	if err != nil {
		return nil, fmt.Errorf("dkim: %w", err)
	}
	keys := set.choose(e, section)
	if keys == nil {
		return nil, nil
	}
	signers, err := open(keys, section, start)
	if err == nil {
		err = pour(ctx, signers, body, (*buf)[:cap(*buf)]) // what lay in it is signed
	}
	return closeAll(signers, err)
}

// choose picks the keys for a message.
func (s *keySet) choose(e *mail.Envelope, h header.Section) []loaded {
	var keys []loaded
	if from, ok := header.FirstMailbox(h.Text("From")); ok {
		keys = s.find(from.Domain)
	}
	if keys == nil {
		keys = s.find(e.Sender.Domain)
	}
	if keys == nil || s.granted == nil || e.Origin == mail.FromSelf {
		return keys
	}
	for _, who := range [...]string{e.Account, e.Tenant} {
		for _, d := range s.granted[who] {
			if k := keys[0].Domain; who != "" && (k == d || strings.HasSuffix(string(k), "."+string(d))) {
				return keys
			}
		}
	}
	return nil
}

func (s *Signer) buffer() *[]byte {
	if b, ok := s.scratch.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, 0, 32<<10)
	return &b
}

func (s *Signer) putBack(buf *[]byte) {
	const keep = 128 << 10
	if cap(*buf) <= keep {
		s.scratch.Put(buf)
	}
}

// readHeader reads the message until its header section is whole. What it read
// of the body already is start. Both lie in buf.
func readHeader(buf *[]byte, prefix []byte, body io.Reader) (section header.Section, start []byte, err error) {
	b := append((*buf)[:0], prefix...)
	for searched := 0; ; {
		if end, at, ok := header.End(b, searched); ok {
			*buf = b
			return header.Section(b[:end]), b[at:], nil
		}
		if searched = len(b); searched > maxHeader {
			return nil, nil, fmt.Errorf("header section is longer than %d octets", maxHeader)
		}
		if len(b) == cap(b) {
			b = append(make([]byte, 0, 2*cap(b)), b...)
		}
		n, err := body.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		*buf = b
		if err == io.EOF && n == 0 {
			return header.Section(b), nil, nil // header fields alone
		}
		if err != nil && err != io.EOF {
			return nil, nil, err
		}
	}
}

// open starts one signature per key and gives each the header section and the
// start of the body.
func open(keys []loaded, section header.Section, start []byte) (signers []*dkim.Signer, err error) {
	names, fields := signed(section)
	fields = append(fields, '\r', '\n')
	for _, k := range keys {
		if k.err != nil {
			return signers, fmt.Errorf("key %s: %w", Name(k.Selector, k.Domain), k.err)
		}
		sg, err := dkim.NewSigner(&dkim.SignOptions{
			Domain: string(k.Domain), Selector: k.Selector, Signer: k.signer, Hash: crypto.SHA256, HeaderKeys: names,
			HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
		})
		if err != nil {
			return signers, err
		}
		signers = append(signers, sg)
		if _, err := sg.Write(fields); err != nil {
			return signers, err
		}
		if len(start) > 0 {
			if _, err := sg.Write(start); err != nil {
				return signers, err
			}
		}
	}
	return signers, nil
}

// pour gives the rest of the body to all signers.
func pour(ctx context.Context, signers []*dkim.Signer, body io.Reader, buf []byte) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, end := body.Read(buf)
		for _, sg := range signers {
			if n > 0 {
				if _, err := sg.Write(buf[:n]); err != nil {
					return err
				}
			}
		}
		if end == io.EOF {
			return nil
		}
		if end != nil {
			return end
		}
	}
}

// closeAll ends every signer, which computes its signature, and joins the
// fields. All or none: half of the signatures would be fewer than promised.
func closeAll(signers []*dkim.Signer, err error) ([]byte, error) {
	var text []byte
	for _, sg := range signers {
		if e := sg.Close(); e != nil && err == nil {
			err = e
		}
		if err == nil {
			text = append(text, sg.Signature()...)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("dkim: %w", err)
	}
	return text, nil
}
