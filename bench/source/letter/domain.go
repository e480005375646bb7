package letter

import (
	"errors"
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
)

// maxDomains is the highest Count of a Domain.
const maxDomains = 1 << 24

// Domain is a recipient domain, or many with names alike.
type Domain struct {
	Name   string
	Count  int     // 1: Name itself; more: d0.Name to d(Count-1).Name
	Zipf   float64 // 0: all alike often; else d(i) as often as 1/(i+1)^Zipf
	Weight float64 // against the other Domains
}

// Domains are where messages go to.
type Domains []Domain

// ParseDomains reads NAME[/COUNT[~ZIPF]][=WEIGHT], several parted by commas:
//
//	big.test                       one domain
//	small.test/1000                d0.small.test to d999.small.test in turns
//	small.test/1000~1.1            d0 most, then d1, by Zipf's law with that exponent
//	big.test=70,small.test/1000=30 seven in ten messages to big.test
func ParseDomains(text string) (Domains, error) {
	var all Domains
	for item := range strings.SplitSeq(text, ",") {
		bad := func(what string) (Domains, error) {
			return nil, fmt.Errorf("domain %q: %s; it is NAME[/COUNT[~ZIPF]][=WEIGHT]", item, what)
		}
		d := Domain{Count: 1, Weight: 1}
		var err error
		rest, weight, weighted := strings.Cut(item, "=")
		if weighted {
			if d.Weight, err = strconv.ParseFloat(weight, 64); err != nil {
				return bad("the weight is no number")
			}
		}
		rest, zipf, skewed := strings.Cut(rest, "~")
		if skewed {
			if d.Zipf, err = strconv.ParseFloat(zipf, 64); err != nil {
				return bad("the Zipf exponent is no number")
			}
		}
		name, count, many := strings.Cut(rest, "/")
		if many {
			if d.Count, err = strconv.Atoi(count); err != nil {
				return bad("the count is no number")
			}
		}
		if d.Name = name; skewed && !many {
			return bad("Zipf weights need a count")
		}
		all = append(all, d)
	}
	return all, all.Check()
}

// String is what ParseDomains reads.
func (ds Domains) String() string {
	var b strings.Builder
	for i, d := range ds {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(d.Name)
		if d.Count > 1 {
			fmt.Fprintf(&b, "/%d", d.Count)
		}
		if d.Zipf > 0 {
			fmt.Fprintf(&b, "~%g", d.Zipf)
		}
		if len(ds) > 1 {
			fmt.Fprintf(&b, "=%g", d.Weight)
		}
	}
	return b.String()
}

// Total is the number of domains.
func (ds Domains) Total() int {
	n := 0
	for _, d := range ds {
		n += d.Count
	}
	return n
}

// Check tells what cannot work.
func (ds Domains) Check() error {
	if len(ds) == 0 {
		return errors.New("no recipient domain")
	}
	for _, d := range ds {
		switch {
		case d.Name == "" || len(d.Name) > 240 || strings.ContainsFunc(d.Name, notInDomain):
			return fmt.Errorf("%q is not a domain", d.Name)
		case d.Count < 1 || d.Count > maxDomains:
			return fmt.Errorf("domain %s: count %d is not between 1 and %d", d.Name, d.Count, maxDomains)
		case !(d.Weight > 0) || math.IsInf(d.Weight, 0):
			return fmt.Errorf("domain %s: the weight must be above 0", d.Name)
		case !(d.Zipf >= 0) || d.Zipf > 10:
			return fmt.Errorf("domain %s: the Zipf exponent must be between 0 and 10", d.Name)
		}
	}
	return nil
}

// notInDomain reports whether r cannot stand in a domain.
func notInDomain(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.')
}

// addressBook chooses recipients: a pure function of the message's number, so
// that sessions share it without a lock.
type addressBook struct {
	domains Domains
	share   chooser
	skew    []chooser // parallel to domains; empty without Zipf
	seed    uint64
	users   uint64
}

func newAddressBook(ds Domains, users int, seed uint64) *addressBook {
	a := &addressBook{domains: ds, seed: seed, users: uint64(users), skew: make([]chooser, len(ds))}
	for i, d := range ds {
		a.share.add(d.Weight)
		for k := 0; d.Zipf > 0 && k < d.Count; k++ {
			a.skew[i].add(math.Pow(float64(k+1), -d.Zipf))
		}
	}
	return a
}

// appendDomain appends the domain of message n.
func (a *addressBook) appendDomain(b []byte, n uint32) []byte {
	i := 0
	if len(a.domains) > 1 {
		i = a.share.pick(mix(a.seed, streamShare, n))
	}
	d := &a.domains[i]
	if d.Count == 1 {
		return append(b, d.Name...)
	}
	k := int(n % uint32(d.Count))
	if len(a.skew[i]) > 0 {
		k = a.skew[i].pick(mix(a.seed, streamZipf, n))
	}
	b = append(b, 'd')
	b = strconv.AppendInt(b, int64(k), 10)
	b = append(b, '.')
	return append(b, d.Name...)
}

// appendAddress appends the address of one of message n's recipients.
func (a *addressBook) appendAddress(b []byte, n uint32, recipient int) []byte {
	b = append(b, 'u')
	b = strconv.AppendUint(b, (uint64(n)+uint64(recipient))%a.users, 10)
	b = append(b, '@')
	return a.appendDomain(b, n)
}

// chooser is running sums of weights.
type chooser []float64

func (c *chooser) add(weight float64) {
	if n := len(*c); n > 0 {
		weight += (*c)[n-1]
	}
	*c = append(*c, weight)
}

// pick maps random bits to an index, each as often as its weight asks.
func (c chooser) pick(random uint64) int {
	x := float64(random>>11) / (1 << 53) * c[len(c)-1]
	return min(sort.Search(len(c), func(i int) bool { return c[i] > x }), len(c)-1)
}

// Streams keep choices of one message independent of each other.
const (
	streamShare = iota + 1
	streamZipf
	streamSize
	streamText
)

// mix gives random bits for a message: the finaliser of SplitMix64 (Steele,
// Lea, Flood 2014), which needs no state.
func mix(seed, stream uint64, n uint32) uint64 {
	z := seed*0x9e3779b97f4a7c15 + stream<<32 + uint64(n)
	z *= 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
