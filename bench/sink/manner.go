package sink

import (
	"fmt"
	"hash/fnv"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"tenma/bench/internet"
)

// host is a manner made ready for use. It never changes; a new manner is a new
// host.
type host struct {
	internet.Manner
	plain bool   // every reply is the usual one, at once
	ehlo  string // the reply to EHLO over TLS, or where there is none
	offer string // the same with STARTTLS
	size  int64
}

// newHost is of a sink's name; size is for manners without SIZE.
func newHost(m internet.Manner, name string, size int64) *host {
	h := &host{Manner: m, size: size}
	if m.Size > 0 {
		h.size = m.Size
	}
	h.plain = len(m.Say)+len(m.Users)+len(m.Wait)+len(m.Parts) == 0 && m.Greylist == 0 && m.TempFail == 0 && m.Unknown == 0 &&
		m.MaxRcpt == 0 && m.MaxMessages == 0 && !m.TLSRequired
	lines := []string{"250 " + name}
	for _, k := range []string{"PIPELINING", "SIZE " + strconv.FormatInt(h.size, 10), "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "CHUNKING"} {
		if word, _, _ := strings.Cut(k, " "); !m.Without[word] {
			lines = append(lines, "250 "+k)
		}
	}
	for _, k := range m.With {
		lines = append(lines, "250 "+k)
	}
	h.ehlo = strings.Join(lines, "\n")
	h.offer = h.ehlo
	if m.TLS != nil {
		h.offer += "\n250 STARTTLS"
	}
	return h
}

// hosts are the manners of a sink. Replaced as a whole when one changes.
type hosts struct {
	name    string
	size    int64
	usual   *host
	at      map[string]*host // by address with port, or host of it
	domains map[string]*host
	below   bool // some domain begins with "*."
}

// address is the host behind a listening address.
func (h *hosts) address(address string) *host {
	if len(h.at) > 0 {
		if own, ok := h.at[address]; ok {
			return own
		}
		if i := strings.LastIndexByte(address, ':'); i >= 0 {
			if own, ok := h.at[strings.Trim(address[:i], "[]")]; ok {
				return own
			}
		}
	}
	return h.usual
}

// domain is the host that speaks for a recipient's domain; nil where none has
// a manner of its own.
func (h *hosts) domain(name []byte) *host {
	if own, ok := h.domains[string(name)]; ok {
		return own
	}
	for h.below {
		i := strings.IndexByte(string(name), '.')
		if i < 0 {
			break
		}
		name = name[i:]
		if own, ok := h.domains["*"+string(name)]; ok {
			return own
		}
		name = name[1:]
	}
	return nil
}

// with gives hosts in which the manner at a place is another one: "" is the
// usual one, "@name" a domain's, else that of a listening address. Nil takes
// it away.
func (h *hosts) with(place string, m *internet.Manner) *hosts {
	n := &hosts{name: h.name, size: h.size, usual: h.usual, at: maps.Clone(h.at), domains: maps.Clone(h.domains)}
	domain, isDomain := strings.CutPrefix(place, "@")
	into, key := n.at, place
	if isDomain {
		into, key = n.domains, strings.ToLower(domain)
	}
	switch {
	case place == "" && m == nil:
		n.usual = newHost(internet.Manner{}, h.name, h.size)
	case place == "":
		n.usual = newHost(*m, h.name, h.size)
	case m == nil:
		delete(into, key)
	default:
		into[key] = newHost(*m, h.name, h.size)
	}
	for k := range n.domains {
		n.below = n.below || strings.HasPrefix(k, "*.")
	}
	return n
}

// maxGrey is how many pairs of sender and recipient a greylist remembers, 100
// MB or so; what comes when it is full is let pass.
const maxGrey = 1 << 21

// greylist remembers when a sender and recipient were first seen. Domains and
// addresses of one sink share it, as they share what is sent to whom.
type greylist struct {
	mu   sync.Mutex
	seen map[uint64]int64 // hash of both -> Unix ns
	most int              // pairs
}

// known reports a pair that was first seen at least wait ago.
func (g *greylist) known(from, to []byte, wait time.Duration) bool {
	h := fnv.New64a()
	h.Write(from)
	h.Write([]byte{'\n'})
	h.Write(to)
	key, now := h.Sum64(), time.Now().UnixNano()
	g.mu.Lock()
	defer g.mu.Unlock()
	first, seen := g.seen[key]
	if !seen {
		if len(g.seen) >= g.most {
			return true
		}
		g.seen[key] = now
		return false
	}
	return now-first >= int64(wait)
}

// judge gives the reply to RCPT that Say and chance leave alone; the words and
// their order are those of internet.Receiver.
func (s *session) judge(h *host, to []byte) string {
	switch {
	case h.MaxRcpt > 0 && s.rcpts >= h.MaxRcpt:
		return "452 4.5.3 Too many recipients"
	case h.plain:
		return okRcpt
	}
	local, _, _ := strings.Cut(string(to), "@")
	if reply, ok := h.Users[local]; ok {
		return reply
	}
	if h.Unknown > 0 && part(to) < h.Unknown {
		return fmt.Sprintf("550 5.1.1 <%s> User unknown", to)
	}
	if h.Greylist > 0 && !s.sink.grey.known(s.from, to, h.Greylist) {
		return "451 4.7.1 Greylisted, please try again later"
	}
	return okRcpt
}

// part maps a text to [0,1), the same each time.
func part(b []byte) float64 {
	h := fnv.New64a()
	h.Write(b)
	return float64(h.Sum64()>>11) / (1 << 53)
}
