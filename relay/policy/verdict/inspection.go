package verdict

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tenma/relay/mail"
	"tenma/relay/wire/authres"
	"tenma/relay/wire/dkim"
	"tenma/relay/wire/dkim/arc"
	"tenma/relay/wire/header"
)

// Inspection is one message on its way in. One goroutine uses it.
type Inspection struct {
	adviser *Adviser
	config  *Config
	ctx     context.Context
	e       *mail.Envelope

	section header.Section // as much as has come; whole once
	inBody  bool
	fields  dkim.Fields
	signed  []signature
	chain   *arc.Chain
	body    dkim.Bodies
	keys    keyring

	found findings
}

// signature is one DKIM-Signature of the message.
type signature struct {
	claim *dkim.Claim
	err   error // a *dkim.Fault, or nil
}

// findings are what the methods came to.
type findings struct {
	spf, helo spfResult
	dkim      []signature
	chain     arc.Status // "" could not be judged
	broken    error      // why, with arc.Fail and ""
	dmarc     dmarcResult
}

// maxHeader bounds what is kept of a header section, in octets; intake takes no
// longer one.
const maxHeader = 512 << 10

// Write takes the next part of the message, from its first octet on. It never fails.
func (i *Inspection) Write(p []byte) (int, error) {
	n := len(p)
	if i.inBody {
		return i.body.Write(p)
	}
	before := len(i.section)
	if end, start, ok := header.End(p, 0); before == 0 && ok { // the usual message
		i.section = bytes.Clone(p[:end])
		i.readHeader()
		i.body.Write(p[start:])
		return n, nil
	}
	i.section = append(i.section, p[:min(n, maxHeader)]...)
	end, start, ok := header.End(i.section, before)
	switch {
	case ok:
		i.section = i.section[:end]
		i.readHeader()
		i.body.Write(p[start-before:])
	case len(i.section) > maxHeader: // text without a header
		i.section = nil
		i.readHeader()
	}
	return n, nil
}

// readHeader reads the header section when it is whole.
func (i *Inspection) readHeader() {
	i.inBody = true
	i.fields = dkim.Index(i.section)
	for _, f := range i.fields.Get("dkim-signature") {
		if len(i.signed) == maxSignatures {
			break
		}
		c, err := dkim.ReadClaim(f)
		if err == nil {
			i.body.Want(c)
		}
		i.signed = append(i.signed, signature{c, err})
	}
	i.chain = arc.Read(i.section)
	if m := i.chain.Message(); m != nil {
		i.body.Want(m)
	}
}

// Verdict judges the message when all of it has been written. Its error is the
// reply with which it is to be refused, an *smtp.Error. It takes Config.Patience at
// most.
func (i *Inspection) Verdict() (mail.Judgement, error) {
	if !i.inBody {
		i.readHeader() // a message of header fields alone
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(i.ctx, i.config.Patience)
	defer cancel()
	i.ask(ctx)
	results := i.results()
	refusal := i.refusal()
	i.count(results, refusal, time.Since(began))
	if refusal != nil {
		return mail.Judgement{}, refusal
	}
	return mail.Judgement{Header: append(authres.Append([]byte("Authentication-Results: "), i.config.Hostname, results), "\r\n"...)}, nil
}

// Drop ends the inspection of a message that is not taken.
func (i *Inspection) Drop() {}

// ask asks the DNS everything, and judges.
func (i *Inspection) ask(ctx context.Context) {
	now := time.Now()
	policies := make([]policy, len(i.authors()))
	var g errgroup.Group
	g.SetLimit(atOnce)
	task := func(do func()) { g.Go(func() error { do(); return nil }) }
	task(func() { i.found.spf = i.mailFrom(ctx) })
	task(func() { i.found.helo = i.heloName(ctx) })
	for n, author := range i.authors() {
		task(func() { policies[n] = i.adviser.discover(ctx, author) })
	}
	for _, c := range i.claims() {
		task(func() { _, _ = i.key(ctx, c) })
	}
	_ = g.Wait() // tasks have no errors
	for n := range i.signed {
		s := &i.signed[n]
		if s.err != nil {
			continue
		}
		var k *dkim.Key
		if k, s.err = i.key(ctx, s.claim); s.err == nil {
			s.err = s.claim.Verify(k, i.fields, i.body.Of(s.claim), now)
		}
	}
	i.found.dkim = i.signed
	i.validate(ctx, now)
	i.found.dmarc = i.align(policies)
}

// validate judges the chain.
func (i *Inspection) validate(ctx context.Context, now time.Time) {
	var sum [32]byte
	if m := i.chain.Message(); m != nil {
		sum = i.body.Of(m)
	}
	i.found.chain, i.found.broken = i.chain.Validate(ctx, i.fields, sum, i.key, now)
}

// claims gives those that need a key, one for each.
func (i *Inspection) claims() []*dkim.Claim {
	var all []*dkim.Claim
	seen := map[string]bool{}
	add := func(c *dkim.Claim) {
		if name := c.KeyName(); !seen[name] {
			seen[name] = true
			all = append(all, c)
		}
	}
	for _, s := range i.signed {
		if s.err == nil {
			add(s.claim)
		}
	}
	for _, c := range i.chain.Claims() {
		add(c)
	}
	return all
}

// keyring remembers keys for one message.
type keyring struct {
	mu  sync.Mutex
	all map[string]foundKey // guarded by mu
}

type foundKey struct {
	key *dkim.Key
	err error
}

// key gives the key of a claim. Errors are a *dkim.Fault.
func (i *Inspection) key(ctx context.Context, c *dkim.Claim) (*dkim.Key, error) {
	name := c.KeyName()
	i.keys.mu.Lock()
	f, known := i.keys.all[name]
	i.keys.mu.Unlock()
	if !known {
		f.key, f.err = i.adviser.publicKey(ctx, name)
		i.keys.mu.Lock()
		if i.keys.all == nil {
			i.keys.all = map[string]foundKey{}
		}
		i.keys.all[name] = f
		i.keys.mu.Unlock()
	}
	return f.key, f.err
}

// publicKey asks the DNS for a key (RFC 6376 section 6.1.2).
func (a *Adviser) publicKey(ctx context.Context, name string) (*dkim.Key, error) {
	records, err := a.text(ctx, name)
	switch {
	case errors.Is(err, errSilent):
		return nil, &dkim.Fault{Result: dkim.TempError, Reason: "key cannot be had now"}
	case len(records) == 0:
		return nil, &dkim.Fault{Result: dkim.PermError, Reason: "no key"}
	case len(records) > 1:
		return nil, &dkim.Fault{Result: dkim.PermError, Reason: "several keys"} // section 3.6.2.2 leaves it open
	}
	return dkim.ParseKey(records[0])
}
