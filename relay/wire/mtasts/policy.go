package mtasts

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	// MaxSize is the most octets that a policy may have (RFC 8461 section 3.3
	// suggests it).
	MaxSize = 64 << 10
	// maxAge is the longest time that a policy may hold, a year (RFC 8461
	// section 3.2).
	maxAge = 31557600 * time.Second
	// maxName is the most octets of a name in the DNS, as text (RFC 1035
	// section 2.3.4).
	maxName = 253
)

// Errors of the parsers, wrapped with what is wrong.
var (
	ErrNoRecord = errors.New("mtasts: no record")
	ErrRecord   = errors.New("mtasts: record is not valid")
	ErrPolicy   = errors.New("mtasts: policy is not valid")
)

// Mode is what a domain wants done with hosts that do not fit its policy.
type Mode uint8

// Modes (RFC 8461 section 5).
const (
	None    Mode = iota // nothing: the domain is about to give its policy up
	Testing             // mail is to be delivered, and the failure reported
	Enforce             // no mail is to be delivered
)

// String gives the word of the policy.
func (m Mode) String() string { return [...]string{"none", "testing", "enforce"}[m] }

// Policy is a domain's policy.
type Policy struct {
	Mode   Mode
	MaxAge time.Duration // how long it holds
	MX     []string      // patterns of host names, in lower case: "mx.example", "*.example"
}

// RecordName is where the TXT record of a domain stands (RFC 8461 section 3.1).
func RecordName(domain string) string { return "_mta-sts." + domain }

// Host is the host that has the policy of a domain (RFC 8461 section 3.2).
func Host(domain string) string { return "mta-sts." + domain }

// URL is where the policy of a domain is (RFC 8461 section 3.2).
func URL(domain string) string {
	return "https://" + Host(domain) + "/.well-known/mta-sts.txt"
}

// ParseRecord finds the id of the policy in the TXT records at RecordName.
// Records of other kinds are passed over. The error is ErrNoRecord, or wraps
// ErrRecord where there are several or the one is not valid; both mean that the
// domain has no policy (RFC 8461 section 3.1).
func ParseRecord(texts []string) (id string, err error) {
	var record string
	for _, t := range texts {
		version, rest, _ := strings.Cut(t, ";")
		if strings.TrimRight(version, " \t") != "v=STSv1" {
			continue
		}
		if record != "" {
			return "", fmt.Errorf("%w: there are several", ErrRecord)
		}
		record = rest + ";" // not empty, so that a second one is noticed
	}
	if record == "" {
		return "", ErrNoRecord
	}
	for field := range strings.SplitSeq(record, ";") {
		field = strings.Trim(field, " \t")
		if field == "" {
			continue
		}
		name, value, ok := strings.Cut(field, "=")
		switch {
		case !ok:
			return "", fmt.Errorf("%w: %.40q", ErrRecord, field)
		case name != "id" || id != "":
		case len(value) > 32 || !alphanumeric(value):
			return "", fmt.Errorf("%w: id %.40q", ErrRecord, value)
		default:
			id = value
		}
	}
	if id == "" {
		return "", fmt.Errorf("%w: it has no id", ErrRecord)
	}
	return id, nil
}

func alphanumeric(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return s != ""
}

// Parse reads a policy (RFC 8461 section 3.2). Unknown fields are passed over;
// of a field that stands there twice, unless it is mx, the first counts. Errors
// wrap ErrPolicy.
func Parse(text []byte) (*Policy, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("%w: more than %d octets", ErrPolicy, MaxSize)
	}
	p := &Policy{}
	first := map[string]string{}
	for line := range strings.SplitSeq(string(text), "\n") {
		line = strings.TrimRight(strings.TrimSuffix(line, "\r"), " \t")
		if line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, fmt.Errorf("%w: no field: %.40q", ErrPolicy, line)
		}
		value = strings.TrimLeft(value, " \t")
		if name == "mx" {
			pattern, ok := parsePattern(value)
			if !ok {
				return nil, fmt.Errorf("%w: mx %.40q", ErrPolicy, value)
			}
			p.MX = append(p.MX, pattern)
		} else if _, twice := first[name]; !twice {
			first[name] = value
		}
	}
	if v := first["version"]; v != "STSv1" {
		return nil, fmt.Errorf("%w: version %.40q", ErrPolicy, v)
	}
	if err := p.fill(first); err != nil {
		return nil, err
	}
	return p, nil
}

// fill sets what the fields other than mx say.
func (p *Policy) fill(fields map[string]string) error {
	switch m := fields["mode"]; m {
	case "enforce":
		p.Mode = Enforce
	case "testing":
		p.Mode = Testing
	case "none":
		p.Mode = None
	default:
		return fmt.Errorf("%w: mode %.40q", ErrPolicy, m)
	}
	age := fields["max_age"]
	seconds, err := strconv.ParseUint(age, 10, 63)
	if err != nil || len(age) > 10 {
		return fmt.Errorf("%w: max_age %.40q", ErrPolicy, age)
	}
	p.MaxAge = min(time.Duration(min(seconds, uint64(maxAge/time.Second)))*time.Second, maxAge)
	if len(p.MX) == 0 && p.Mode != None {
		return fmt.Errorf("%w: it names no host", ErrPolicy)
	}
	return nil
}

// parsePattern reads "mx.example" or "*.example".
func parsePattern(s string) (string, bool) {
	s = strings.ToLower(s)
	name := strings.TrimPrefix(s, "*.")
	if name == "" || len(s) > maxName {
		return "", false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
		}) {
			return "", false
		}
	}
	return s, true
}

// Allows reports that the policy names the host. A pattern "*.example" stands
// for exactly one label before the dot (RFC 8461 section 4.1).
func (p *Policy) Allows(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	label, parent, _ := strings.Cut(host, ".")
	for _, m := range p.MX {
		if above, wild := strings.CutPrefix(m, "*."); wild && label != "" && parent == above || m == host && host != "" {
			return true
		}
	}
	return false
}

// String gives the policy as its text, which Parse reads.
func (p *Policy) String() string {
	var b strings.Builder
	b.WriteString("version: STSv1\nmode: " + p.Mode.String() + "\n")
	for _, m := range p.MX {
		b.WriteString("mx: " + m + "\n")
	}
	b.WriteString("max_age: " + strconv.FormatInt(int64(p.MaxAge/time.Second), 10) + "\n")
	return b.String()
}
