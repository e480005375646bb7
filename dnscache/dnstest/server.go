package dnstest

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Fault is a way to answer wrongly.
type Fault uint8

// The faults.
const (
	None      Fault = iota
	ServFail        // SERVFAIL, as for a zone whose signatures are broken
	Refuse          // REFUSED
	Silence         // no reply
	Truncate        // over UDP always truncated, over TCP right
	WrongID         // the id of another query
	WrongName       // the question of another query
	Lame            // a referral to other servers
	NoEDNS          // FORMERR to queries with EDNS, right without
	Garbage         // a reply that cannot be parsed
)

// Manner is how the server treats queries for a name.
type Manner struct {
	Fault    Fault
	Delay    time.Duration // before the reply
	Insecure bool          // without the AD bit even if the server sets it
}

// Server answers DNS queries from a zone text. Its methods may be called from
// any goroutine.
type Server struct {
	mu      sync.Mutex
	zone    *zone
	manners map[string]Manner
	counts  map[asked]int
	total   int
	secure  bool
}

type asked struct {
	name  string
	qtype uint16
}

// New makes a server from a zone text. It panics if the text is no zone: what
// a test or a demonstration is made of must be right.
func New(zone string) *Server {
	s := &Server{manners: map[string]Manner{}, counts: map[asked]int{}}
	if err := s.SetZone(zone); err != nil {
		panic(err)
	}
	return s
}

// SetZone replaces all that the server knows. On an error nothing changes.
func (s *Server) SetZone(text string) error {
	z, err := parseZone(text)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zone = z
	return nil
}

// Secure says whether replies have the AD bit, as a validating resolver sets it
// for signed zones.
func (s *Server) Secure(ad bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secure = ad
}

// Misbehave sets how queries for a name are treated, "*" for all names that
// have no manner of their own, "TYPE name" for queries of one type ("AAAA
// mx.example"). The zero Manner is to behave.
func (s *Server) Misbehave(name string, m Manner) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m == (Manner{}) {
		delete(s.manners, mannerKey(name))
		return
	}
	s.manners[mannerKey(name)] = m
}

func mannerKey(name string) string {
	if name == "*" {
		return name
	}
	qtype, name, typed := strings.Cut(strings.ToLower(name), " ")
	if !typed {
		return dns.Fqdn(qtype)
	}
	return qtype + " " + dns.Fqdn(name)
}

// Count tells how many queries there were for a name and type ("MX"), by UDP
// and TCP together, the unanswered ones included.
func (s *Server) Count(name, qtype string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := dns.StringToType[strings.ToUpper(qtype)]
	if !ok {
		panic(fmt.Sprintf("dnstest: no such type %q", qtype))
	}
	return s.counts[asked{dns.Fqdn(strings.ToLower(name)), t}]
}

// Queries tells how many queries there were.
func (s *Server) Queries() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

// note counts a query and gives what is needed to answer it.
func (s *Server) note(q dns.Question) (*zone, Manner, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := strings.ToLower(q.Name)
	s.counts[asked{name, q.Qtype}]++
	s.total++
	for _, k := range [...]string{strings.ToLower(dns.TypeToString[q.Qtype]) + " " + name, name, "*"} {
		if m, ok := s.manners[k]; ok {
			return s.zone, m, s.secure
		}
	}
	return s.zone, Manner{}, s.secure
}

// reply answers one query: nil is no answer. It is called for each query of
// either network.
func (s *Server) reply(query []byte, udp bool) (reply []byte, delay time.Duration) {
	q := new(dns.Msg)
	if err := q.Unpack(query); err != nil || len(q.Question) != 1 || q.Response {
		return nil, 0
	}
	z, manner, secure := s.note(q.Question[0])
	if manner.Fault == Silence {
		return nil, 0
	}
	m := new(dns.Msg).SetReply(q)
	m.RecursionAvailable = true
	m.Compress = true
	m.Answer, m.Ns, m.Rcode = z.resolve(q.Question[0].Name, q.Question[0].Qtype)
	edns := q.IsEdns0()
	m.AuthenticatedData = secure && !manner.Insecure && (q.AuthenticatedData || edns != nil && edns.Do())
	size := dns.MinMsgSize
	if edns != nil {
		size = max(size, int(edns.UDPSize()))
		m.SetEdns0(udpSize, false)
	}
	spoil(m, manner.Fault, udp, edns != nil)
	wire, err := m.Pack()
	if err == nil && udp && len(wire) > size {
		m.Answer, m.Ns, m.Truncated = nil, nil, true // RFC 2181 section 9
		wire, err = m.Pack()
	}
	if err != nil {
		return nil, 0
	}
	if manner.Fault == Garbage {
		wire = append(wire[:12], 0xff, 0xff, 0xff) // a header, and a pointer into nowhere
	}
	return wire, manner.Delay
}

// udpSize is what the server takes over UDP.
const udpSize = 1232

// spoil makes a right answer wrong.
func spoil(m *dns.Msg, f Fault, udp, edns bool) {
	switch f {
	case ServFail:
		m.Answer, m.Ns, m.Rcode = nil, nil, dns.RcodeServerFailure
	case Refuse:
		m.Answer, m.Ns, m.Rcode = nil, nil, dns.RcodeRefused
	case Truncate:
		if udp {
			m.Answer, m.Ns, m.Truncated = nil, nil, true
		}
	case WrongID:
		m.Id++
	case WrongName:
		m.Question[0].Name = "other.invalid."
	case Lame:
		m.Answer, m.Rcode, m.RecursionAvailable = nil, dns.RcodeSuccess, false
		m.Ns = []dns.RR{&dns.NS{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeNS, Class: dns.ClassINET, Ttl: defaultTTL}, Ns: "ns.invalid."}}
	case NoEDNS:
		if edns {
			m.Answer, m.Ns, m.Extra, m.Rcode = nil, nil, nil, dns.RcodeFormatError
		}
	}
}
