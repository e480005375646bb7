package dnscheck

import (
	"fmt"
	"slices"
	"strings"
)

// keys checks the record of each key.
func (c *checker) keys() {
	signs := false
	for _, k := range c.Keys {
		c.key(k)
		signs = signs || !k.Next
	}
	if !signs {
		c.add("DKIM", "_domainkey."+string(c.Domain), Missing, nil, "no key signs for the domain: large receivers take no mail from it", "", fmt.Sprintf("\"tenma dkim new %s\" makes a key and tells the rest", c.Domain))
	}
}

// key checks what a verifier would make of the record of a key (RFC 6376 sections
// 3.6.1 and 6.1.2).
func (c *checker) key(k Key) {
	a, err := c.dns.LookupTXT(c.ctx, k.Name)
	if c.silent("DKIM", k.Name, err) {
		return
	}
	found := a.Records
	if len(found) == 0 {
		if k.Next {
			c.add("DKIM", k.Name, Advice, nil, "the next key waits for its record", k.Record, "publish it")
		} else {
			c.add("DKIM", k.Name, Missing, nil, "the relay signs with this key, and nobody can verify it", k.Record, "publish it")
		}
		return
	}
	why := keyFault(found, k.Record)
	switch {
	case why != "":
		c.add("DKIM", k.Name, Wrong, found, why, k.Record, "publish this")
	default:
		c.keyFlags(k, found)
	}
}

// keyFlags looks at the tags beside the key.
func (c *checker) keyFlags(k Key, found []string) {
	ours, _ := tags(found[0])
	flags, _ := value(ours, "t")
	service, hasService := value(ours, "s")
	hashes, hasHashes := value(ours, "h")
	lists := func(list, word string) bool {
		return slices.ContainsFunc(strings.Split(list, ":"), func(w string) bool { return strings.EqualFold(strings.TrimSpace(w), word) })
	}
	switch {
	case hasHashes && !lists(hashes, "sha256"):
		c.add("DKIM", k.Name, Wrong, found, "h= forbids sha256, which every signature uses", k.Record, "publish this")
	case hasService && !lists(service, "email") && !lists(service, "*"):
		c.add("DKIM", k.Name, Wrong, found, "s= forbids the key for mail", k.Record, "publish this")
	case lists(flags, "y"):
		c.add("DKIM", k.Name, Advice, found, "t=y says that the key is being tried out: receivers may treat signed mail as unsigned", k.Record, "take t=y out")
	default:
		c.add("DKIM", k.Name, OK, found, "", "", "")
	}
}

// keyFault says what keeps a verifier from using the record, "" if nothing does.
func keyFault(found []string, want string) string {
	ours, _ := tags(want)
	key, _ := value(ours, "p")
	kind, _ := value(ours, "k")
	if len(found) > 1 {
		for _, joined := range []string{strings.Join(found, ""), found[len(found)-1] + found[0]} {
			if p, _ := value(first(tags(joined)), "p"); squeeze(p) == key {
				return "the record was split into several records; it is one record of several strings (RFC 6376 section 3.6.2.2)"
			}
		}
		return "there are several records, of which verifiers may take any (RFC 6376 section 3.6.2.2)"
	}
	all, bad := tags(found[0])
	p, has := value(all, "p")
	k, hasKind := value(all, "k")
	version, hasVersion := value(all, "v")
	p = squeeze(p)
	switch {
	case strings.ContainsAny(found[0], `"\`):
		return "there are quotation marks or backslashes in the record's text, left over from a zone file"
	case hasVersion && version != "DKIM1", hasVersion && all[0].name != "v":
		return "v= must be the first tag, and DKIM1"
	case !has:
		return "there is no key (p=) in the record"
	case p == "":
		return "the record says that the key is revoked (p= is empty), and the relay signs with it"
	case p != key && strings.HasPrefix(key, p):
		return fmt.Sprintf("the key ends after %d of %d characters: a string of a record holds 255, so it must be split into strings of one record", len(p), len(key))
	case p != key:
		return "it is another key than the relay signs with"
	case hasKind && !strings.EqualFold(k, kind), !hasKind && kind != "rsa":
		return "k= must be " + kind
	case bad != "":
		return fmt.Sprintf("%.40q is no tag", bad)
	}
	return ""
}

func first[A, B any](a A, _ B) A { return a }

// squeeze takes out the white space that base64 may hold (RFC 6376 section 3.2).
func squeeze(s string) string { return strings.Join(strings.Fields(s), "") }
