package dnscache

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// maxAliases bounds a chain of CNAME records. Resolvers use 8 to 16; real
// chains in front of mail hosts have one or two.
const maxAliases = 8

// halfAnswerLife is how long addresses of one family stand alone because the
// other family's question failed.
const halfAnswerLife = 30 * time.Second

// found is what a question came to.
type found struct {
	records   any   // []MX, []netip.Addr, []string or []TLSA; nil with err
	err       error // wraps ErrNotFound, ErrNoData or ErrTemporary
	secure    bool
	canonical string
	ttl       time.Duration
	octets    int64 // estimate of the memory behind records
}

// ask answers k from the servers, without memory. A question that cannot even
// begin is a temporary failure.
func (c *Cache) ask(ctx context.Context, s *settings, k key) found {
	select {
	case c.inFlight <- struct{}{}:
		defer func() { <-c.inFlight }()
	case <-ctx.Done():
		return found{err: fmt.Errorf("%w: %s of %s: too many lookups wait for servers", ErrTemporary, k.kind, k.name)}
	}
	switch k.kind {
	case kindMX:
		return c.chase(ctx, s, k.name, dns.TypeMX, prior{})
	case kindTXT:
		return c.chase(ctx, s, k.name, dns.TypeTXT, prior{})
	case kindPTR:
		return c.chase(ctx, s, k.name, dns.TypePTR, prior{})
	case kindTLSA:
		return c.chase(ctx, s, k.name, dns.TypeTLSA, prior{})
	}
	var v4, v6 found
	said6, said4 := c.pair(ctx, s, k.name)
	if said6.answered() && said4.answered() { // nothing to wait for, but for aliases of aliases
		v6 = c.chase(ctx, s, k.name, dns.TypeAAAA, said6)
		v4 = c.chase(ctx, s, k.name, dns.TypeA, said4)
		return bothFamilies(v6, v4)
	}
	var other sync.WaitGroup
	other.Go(func() { v4 = c.chase(ctx, s, k.name, dns.TypeA, said4) })
	v6 = c.chase(ctx, s, k.name, dns.TypeAAAA, said6)
	other.Wait()
	return bothFamilies(v6, v4)
}

// bothFamilies makes one answer of AAAA and A.
func bothFamilies(v6, v4 found) found {
	a6, _ := v6.records.([]netip.Addr)
	a4, _ := v4.records.([]netip.Addr)
	switch {
	case v6.err == nil && v4.err == nil:
		v6.records = slices.Clip(slices.Concat(a6, a4))
		v6.octets += v4.octets
		v6.ttl = min(v6.ttl, v4.ttl)
		v6.secure = v6.secure && v4.secure
		return v6
	case v6.err == nil:
		return oneFamily(v6, v4)
	case v4.err == nil:
		return oneFamily(v4, v6)
	case errors.Is(v6.err, ErrTemporary):
		return v6
	case errors.Is(v4.err, ErrTemporary):
		return v4
	}
	// Two denials. A name is either there or not, so one NXDOMAIN beside a
	// NODATA is a confused server; the name is then taken to be there.
	v6.ttl, v6.secure = min(v6.ttl, v4.ttl), v6.secure && v4.secure
	if errors.Is(v6.err, ErrNotFound) && !errors.Is(v4.err, ErrNotFound) {
		v6.err = v4.err
	}
	return v6
}

// oneFamily makes one answer of a family that has addresses and one that has
// none, or failed. A failure does not make the answer insecure: otherwise who
// can suppress the AAAA reply could switch DANE off (RFC 7672 section 2.1.2).
func oneFamily(has, not found) found {
	if errors.Is(not.err, ErrTemporary) {
		has.ttl = min(has.ttl, halfAnswerLife)
		return has
	}
	has.ttl = min(has.ttl, not.ttl)
	has.secure = has.secure && not.secure
	return has
}

// chase asks for records of one type and follows aliases where the server did
// not. said is what a server answered already to the first question.
func (c *Cache) chase(ctx context.Context, s *settings, name string, qtype uint16, said prior) found {
	secure, ttl, at, aliases := true, s.maxTTL, name, 0
	for {
		msg, srv, err := c.exchange(ctx, s, at, qtype, said)
		said = prior{}
		if err != nil {
			return found{err: fmt.Errorf("%w: %s of %s: %w", ErrTemporary, dns.TypeToString[qtype], name, err)}
		}
		r := readReply(msg, at, qtype)
		aliases += r.aliases
		secure = secure && srv.believed && msg.AuthenticatedData
		ttl = min(ttl, r.ttl)
		if r.canonical != "" {
			at = r.canonical
		}
		if r.follow && aliases <= maxAliases {
			continue
		}
		r.found.secure, r.found.ttl = secure, ttl
		if at != name {
			r.found.canonical = at
		}
		switch {
		case aliases > maxAliases:
			r.found = found{err: fmt.Errorf("%w: %s of %s: chain of aliases too long", ErrTemporary, dns.TypeToString[qtype], name)}
		case r.found.err != nil:
			r.found.err = fmt.Errorf("%w: %s of %s", r.found.err, dns.TypeToString[qtype], name)
		}
		return r.found
	}
}

// canonical gives a name in lower case without trailing dot, and whether it can
// be a question: at most 253 octets in labels of 1 to 63 (RFC 1035 section
// 2.3.4), all visible ASCII. It allocates only where it changes something
// besides the dot.
func canonical(name string) (string, bool) {
	name = strings.TrimSuffix(name, ".")
	if name == "" || len(name) > 253 {
		return "", false
	}
	label, upper := 0, false
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case c == '.':
			if label == 0 {
				return "", false
			}
			label = -1
		case c <= ' ' || c >= 0x7f || strings.IndexByte(`\"();@$`, c) >= 0: // what a zone text would escape
			return "", false
		case c >= 'A' && c <= 'Z':
			upper = true
		}
		if label++; label > 63 {
			return "", false
		}
	}
	if label == 0 {
		return "", false
	}
	if upper {
		name = strings.ToLower(name)
	}
	return name, true
}

// reverseName gives the name under which an address has its PTR records (RFC
// 1035 section 3.5, RFC 3596 section 2.5), "" for no address.
func reverseName(a netip.Addr) string {
	name, err := dns.ReverseAddr(a.Unmap().WithZone("").String())
	if err != nil {
		return ""
	}
	return name
}
