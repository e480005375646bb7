package names

import (
	"encoding/binary"
	"hash/fnv"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
)

// Server answers by the rules of its Config. Its methods may be called at any
// time.
type Server struct {
	cfg    Config
	zones  [][]byte // "." and the zone
	parent string   // "." and it
	onWire [][]byte // the name of each host
	txt    map[string]string
	count  counts
}

type counts struct {
	queries, mx, address, txt, ptr, other atomic.Int64
	nxDomain, servFail, silent, bad       atomic.Int64
}

// Stats are what a server was asked and answered so far.
type Stats struct {
	Queries  int64 `json:"queries"`
	MX       int64 `json:"mx"`
	Address  int64 `json:"address"` // A and AAAA
	TXT      int64 `json:"txt"`
	PTR      int64 `json:"ptr"`
	Other    int64 `json:"other"` // types
	NXDomain int64 `json:"nxdomain"`
	ServFail int64 `json:"servfail"`
	Silent   int64 `json:"silent"` // left without a reply
	Bad      int64 `json:"bad"`    // were no queries
}

// New makes a server; Serve or Run runs it.
func New(cfg Config) (*Server, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, parent: "." + trim(cfg.Parent), txt: map[string]string{}}
	for _, z := range cfg.Zones {
		s.zones = append(s.zones, []byte("."+trim(z)))
	}
	for i := range cfg.Hosts {
		name, err := wireName("mx" + strconv.Itoa(i+1) + s.parent)
		if err != nil {
			return nil, err
		}
		s.onWire = append(s.onWire, name)
	}
	for name, text := range cfg.TXT {
		s.txt[trim(name)] = text
	}
	return s, nil
}

// Stats gives the counts.
func (s *Server) Stats() Stats {
	c := &s.count
	return Stats{
		Queries: c.queries.Load(), MX: c.mx.Load(), Address: c.address.Load(), TXT: c.txt.Load(), PTR: c.ptr.Load(), Other: c.other.Load(),
		NXDomain: c.nxDomain.Load(), ServFail: c.servFail.Load(), Silent: c.silent.Load(), Bad: c.bad.Load(),
	}
}

// Answer appends the reply to a query to b; nothing, if there is none to give.
// Over UDP a reply too long for the asker is cut and marked.
func (s *Server) Answer(b, msg []byte, udp bool) []byte {
	var q query
	q.name = make([]byte, 0, maxName)
	q.at = make([]int, 0, 16)
	if q.parse(msg) != nil {
		s.count.bad.Add(1)
		return b
	}
	s.count.queries.Add(1)
	s.note(q.qtype)
	r := newReply(b, &q, s.cfg.TTL)
	code := s.resolve(&r, &q)
	switch code {
	case silence:
		s.count.silent.Add(1)
		return b
	case nxDomain:
		s.count.nxDomain.Add(1)
	case servFail:
		s.count.servFail.Add(1)
	}
	if r.answers == 0 && (code == noError || code == nxDomain) {
		r.soa(&q)
	}
	limit := 0
	if udp {
		limit = q.limit
	}
	return r.finish(&q, byte(code), limit)
}

func (s *Server) note(qtype uint16) {
	c := &s.count
	switch qtype {
	case typeMX:
		c.mx.Add(1)
	case typeA, typeAAAA:
		c.address.Add(1)
	case typeTXT:
		c.txt.Add(1)
	case typePTR:
		c.ptr.Add(1)
	default:
		c.other.Add(1)
	}
}

// silence is no code of DNS: no reply.
const silence = 256

// resolve adds the answers and gives the code.
func (s *Server) resolve(r *reply, q *query) int {
	name := string(q.name)
	if q.opcode() != 0 {
		return notImp
	}
	if q.class != classIN {
		return refused
	}
	if text, ok := s.txt[name]; ok {
		if q.qtype == typeTXT {
			r.text(text)
		}
		return noError
	}
	if name == "localhost" {
		r.address(q.qtype, netip.AddrFrom4([4]byte{127, 0, 0, 1}))
		r.address(q.qtype, netip.IPv6Loopback())
		return noError
	}
	if from, ok := strings.CutSuffix(name, ".in-addr.arpa"); ok {
		return s.pointer(r, q, from)
	}
	zone, below := s.zone(name)
	switch {
	case zone == "":
		return nxDomain
	case !below: // the zone itself, and what must be there since something is below it
		return noError
	}
	if label, ok := strings.CutSuffix(name, s.parent); ok {
		return s.host(r, q, label)
	}
	if name == s.parent[1:] {
		return noError
	}
	return s.domain(r, q, name)
}

// zone gives the zone that a name is in, and whether it is below its top.
func (s *Server) zone(name string) (zone string, below bool) {
	for _, z := range s.zones {
		if name == string(z[1:]) {
			return name, false
		}
		if strings.HasSuffix(name, string(z)) {
			return string(z[1:]), true
		}
	}
	return "", false
}

// host answers for a name below the parent: mx7 or ip-127-0-0-1.
func (s *Server) host(r *reply, q *query, label string) int {
	if k, ok := number(label, "mx"); ok && k <= len(s.cfg.Hosts) {
		r.address(q.qtype, s.cfg.Hosts[k-1])
		return noError
	}
	if digits, ok := strings.CutPrefix(label, "ip-"); ok {
		if a, err := netip.ParseAddr(strings.ReplaceAll(digits, "-", ".")); err == nil && a.Is4() {
			r.address(q.qtype, a)
			return noError
		}
	}
	return nxDomain
}

// domain answers for a domain that takes mail, or for a host of its own.
func (s *Server) domain(r *reply, q *query, name string) int {
	owner, k := name, 0
	if s.cfg.Own {
		label, rest, _ := strings.Cut(name, ".")
		if n, ok := number(label, "mx"); ok && n <= s.cfg.MX && strings.Contains(rest, ".") {
			owner, k = rest, n
		}
	}
	h := hash(owner)
	// The upper bits decide on trouble, the lower ones on hosts.
	switch x, c := float64(h>>11)/(1<<53), &s.cfg; {
	case x < c.NXDomain:
		return nxDomain
	case x < c.NXDomain+c.ServFail:
		return servFail
	case x < c.NXDomain+c.ServFail+c.Silent:
		return silence
	}
	first := int(uint32(h)) % len(s.cfg.Hosts)
	switch {
	case k > 0:
		r.address(q.qtype, s.cfg.Hosts[(first+k-1)%len(s.cfg.Hosts)])
	case q.qtype == typeMX || q.qtype == typeANY:
		for i := range min(s.cfg.MX, s.distinct()) {
			var preference [2]byte
			binary.BigEndian.PutUint16(preference[:], uint16(10*(i+1)))
			if s.cfg.Own {
				own := strconv.AppendInt([]byte("\x00mx"), int64(i+1), 10)
				own[0] = byte(len(own) - 1)
				r.answer(typeMX, preference[:], binary.BigEndian.AppendUint16(own, toQuestion))
			} else {
				r.answer(typeMX, preference[:], s.onWire[(first+i)%len(s.onWire)])
			}
		}
	case q.qtype == typeTXT && !strings.HasPrefix(name, "_") && !strings.Contains(name, "._"):
		r.text("v=spf1 ip4:127.0.0.0/8 -all")
	}
	return noError
}

// distinct is how many MX hosts a domain can have: of names of its own any
// number.
func (s *Server) distinct() int {
	if s.cfg.Own {
		return maxMX
	}
	return len(s.cfg.Hosts)
}

// pointer answers for an address's name: 3.0.1.127.
func (s *Server) pointer(r *reply, q *query, reversed string) int {
	part := strings.Split(reversed, ".")
	if len(part) != 4 {
		return nxDomain
	}
	a, err := netip.ParseAddr(part[3] + "." + part[2] + "." + part[1] + "." + part[0])
	if err != nil {
		return nxDomain
	}
	if q.qtype != typePTR {
		return noError
	}
	for i, h := range s.cfg.Hosts {
		if h == a {
			r.answer(typePTR, s.onWire[i])
			return noError
		}
	}
	name, err := wireName("ip-" + strings.ReplaceAll(a.String(), ".", "-") + s.parent)
	if err != nil {
		return servFail
	}
	r.answer(typePTR, name)
	return noError
}

// address adds an address if it is of the type that was asked for.
func (r *reply) address(qtype uint16, a netip.Addr) {
	switch {
	case a.Is4() && (qtype == typeA || qtype == typeANY):
		b := a.As4()
		r.answer(typeA, b[:])
	case a.Is6() && (qtype == typeAAAA || qtype == typeANY):
		b := a.As16()
		r.answer(typeAAAA, b[:])
	}
}

// number reads "mx7".
func number(label, prefix string) (int, bool) {
	digits, ok := strings.CutPrefix(label, prefix)
	n, err := strconv.Atoi(digits)
	return n, ok && err == nil && n > 0 && strconv.Itoa(n) == digits
}

// hash maps a name to 64 bits that are all as good as any other.
func hash(name string) uint64 {
	f := fnv.New64a()
	f.Write([]byte(name))
	h := f.Sum64()
	h ^= h >> 32 // finalizer: FNV's upper bits hardly know the last letters
	h *= 0xd6e8feb86659fd93
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	h ^= h >> 32
	return h
}
