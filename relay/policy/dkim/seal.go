package dkim

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"time"

	"tenma/relay/mail"
	"tenma/relay/wire/authres"
	"tenma/relay/wire/dkim"
	"tenma/relay/wire/dkim/arc"
	"tenma/relay/wire/header"
	"tenma/relay/wire/smtp"
)

// deliveredTo begins the prefix of what an address here forwards; nothing else that
// is sent begins so (package post of the mailbox stage).
const deliveredTo = "Delivered-To: "

// maxSealed bounds how many DKIM-Signature fields a seal covers.
const maxSealed = 10

// sealers gives the keys that may seal a message which begins with text: those of the
// domain of the address that forwards it.
func (s *keySet) sealers(text string) []loaded {
	line, ok := strings.CutPrefix(text, deliveredTo)
	if !ok {
		return nil
	}
	line, _, _ = strings.Cut(line, "\r\n")
	by, err := smtp.ParseMailbox(line)
	if err != nil {
		return nil
	}
	return s.find(by.Domain)
}

// seal gives an ARC set (RFC 8617 section 5.1) for a stranger's message that goes on,
// to stand before it, in the name of the domain whose address forwards it: what
// Authentication-Results said when it arrived, and a signature of the message with
// all that was added here. It is the last change before the message goes out.
//
// Nothing is given where the message bears no results, where a chain that it brought
// could not be judged (it may be whole, and stays so), and where there is no key that
// can be used: a seal is for the good of mail that others vouch for as well, and
// unlike a signature of our own no reason to keep it waiting.
func (s *Signer) seal(ctx context.Context, set *keySet, e *mail.Envelope, body io.Reader) ([]byte, error) {
	m := s.desk()
	defer s.clear(m)
	section, start, err := m.readHeader(e.Prefix, body)
	if err != nil {
		return nil, fmt.Errorf("arc: %w", err)
	}
	// A rendition has the prefix in its body; Wants has looked at the true one.
	key, algorithm, opts := sealing(set.sealers(cmp.Or(string(e.Prefix), string(section))))
	results, status := arrival(section)
	chain := arc.Read(bytes.Clone(section)) // the body is read over the section
	switch {
	case key == nil, results == "":
		return nil, nil
	case chain.Err != nil:
		status = arc.Fail
	case chain.Last == 0:
		status = arc.None
	case status != arc.Pass && status != arc.Fail:
		return nil, nil
	}
	m.names, m.fields = signed(section, m.names, m.fields)
	m.names, m.fields = signatures(section, m.names, m.fields)
	hash, err := m.readBody(ctx, start, body)
	if err != nil {
		return nil, fmt.Errorf("arc: %w", err)
	}
	next := arc.Seal{
		Domain: string(key.Domain), Selector: key.Selector, Algorithm: algorithm, Time: time.Now(),
		Results: results, Status: status, Names: m.names, Fields: m.fields, Body: hash,
	}
	text, err := next.Append(nil, chain, func(d [sha256.Size]byte) ([]byte, error) { return key.signer.Sign(rand.Reader, d[:], opts) })
	if err != nil {
		s.log.Warn("a message that is forwarded goes out unsealed", "key", Name(key.Selector, key.Domain), "err", err)
		return nil, nil
	}
	return text, nil
}

// sealing picks the key of a seal: RSA before Ed25519, which verifiers of ARC need
// not know (RFC 8463 is about DKIM alone). nil: none can be used.
func sealing(keys []loaded) (key *loaded, algorithm string, opts crypto.SignerOpts) {
	for i := range keys {
		k := &keys[i]
		if k.err != nil {
			continue
		}
		switch k.signer.Public().(type) {
		case *rsa.PublicKey:
			return k, "rsa-sha256", crypto.SHA256
		case ed25519.PublicKey:
			key, algorithm, opts = k, "ed25519-sha256", crypto.Hash(0)
		}
	}
	return key, algorithm, opts
}

// arrival reads what was found when a message arrived: the results of this host,
// joined, and what it said about the chain, "" for nothing. They stand above the
// first Received field, where nobody but us has written (package intake).
func arrival(section header.Section) (results string, status arc.Status) {
	host := ""
	for f := range section.Fields() {
		if f.Is("Received") {
			break
		}
		if !f.Is("Authentication-Results") {
			continue
		}
		value := strings.Trim(string(f.Value()), " \t\r\n")
		by, all, err := authres.Parse(value)
		if err != nil || host != "" && by != host {
			continue
		}
		for _, r := range all {
			if r.Method == "arc" {
				status = arc.Status(r.Value)
			}
		}
		if host == "" {
			host, results = by, value
		} else if _, more, ok := strings.Cut(value, ";"); ok {
			results += ";" + more
		}
	}
	return results, status
}

// signatures adds the DKIM-Signature fields to what is sealed (RFC 8617 section
// 4.1.2), the last first.
func signatures(section header.Section, names, fields []byte) (h, canonical []byte) {
	var all []header.Field
	for f := range section.Fields() {
		if f.Is("DKIM-Signature") {
			all = append(all, f)
		}
	}
	for n := range min(len(all), maxSealed) {
		names = append(names, ":\r\n\tDKIM-Signature"...)
		fields = dkim.AppendField(fields, "DKIM-Signature", all[len(all)-1-n].Value())
	}
	return names, fields
}
