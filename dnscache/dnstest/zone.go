package dnstest

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// defaultTTL is the time to live of records that state none, in seconds.
const defaultTTL = 300

// zone is what a zone text says; it does not change once it is made.
type zone struct {
	records map[string]map[uint16][]dns.RR // by name in lower case, then type
	exists  map[string]bool                // names with records at or below them (RFC 4592 section 2.2.2)
}

func parseZone(text string) (*zone, error) {
	z := &zone{records: map[string]map[uint16][]dns.RR{}, exists: map[string]bool{".": true}}
	p := dns.NewZoneParser(strings.NewReader(text), ".", "")
	p.SetDefaultTTL(defaultTTL)
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		name := strings.ToLower(rr.Header().Name)
		types := z.records[name]
		if types == nil {
			types = map[uint16][]dns.RR{}
			z.records[name] = types
		}
		types[rr.Header().Rrtype] = append(types[rr.Header().Rrtype], rr)
		for at := name; at != "."; at = parent(at) {
			z.exists[at] = true
		}
	}
	if err := p.Err(); err != nil {
		return nil, fmt.Errorf("dnstest: %w", err)
	}
	return z, nil
}

func parent(name string) string {
	i, end := dns.NextLabel(name, 0)
	if end {
		return "."
	}
	return name[i:]
}

// find gives the records at a name, those of the wildcard that covers it if
// the name does not exist, and whether there is either (RFC 4592 section 3.3).
func (z *zone) find(name string) (map[uint16][]dns.RR, bool) {
	name = strings.ToLower(name)
	if z.exists[name] {
		return z.records[name], true
	}
	encloser := parent(name)
	for !z.exists[encloser] {
		encloser = parent(encloser)
	}
	types, ok := z.records["*."+strings.TrimPrefix(encloser, ".")]
	return types, ok
}

// resolve gives the answer section and, for a denial, its rcode and SOA.
func (z *zone) resolve(name string, qtype uint16) (answer, authority []dns.RR, rcode int) {
	const longestChain = 16
	for range longestChain {
		types, ok := z.find(name)
		if !ok {
			return answer, []dns.RR{z.soa(name)}, dns.RcodeNameError
		}
		records := types[qtype]
		if qtype == dns.TypeANY {
			records = nil
			for _, rrs := range types {
				records = append(records, rrs...)
			}
		}
		if len(records) > 0 {
			return append(answer, owned(records, name)...), nil, dns.RcodeSuccess
		}
		alias := types[dns.TypeCNAME]
		if len(alias) == 0 {
			return answer, []dns.RR{z.soa(name)}, dns.RcodeSuccess
		}
		answer = append(answer, owned(alias[:1], name)...)
		name = alias[0].(*dns.CNAME).Target
	}
	return answer, nil, dns.RcodeServerFailure
}

// owned gives copies of records with name as their owner, for wildcards.
func owned(records []dns.RR, name string) []dns.RR {
	all := make([]dns.RR, 0, len(records))
	for _, rr := range records {
		rr = dns.Copy(rr)
		rr.Header().Name = name
		all = append(all, rr)
	}
	return all
}

// soa gives the SOA record of the zone that a name is in; the root's, made up,
// where the text has none.
func (z *zone) soa(name string) dns.RR {
	for at := strings.ToLower(name); ; at = parent(at) {
		if soa := z.records[at][dns.TypeSOA]; len(soa) > 0 {
			return soa[0]
		}
		if at == "." {
			break
		}
	}
	return &dns.SOA{
		Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: defaultTTL},
		Ns:  "ns.invalid.", Mbox: "nobody.invalid.", Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: 60,
	}
}
