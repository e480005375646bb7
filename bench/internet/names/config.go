package names

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Config says how names are answered.
type Config struct {
	Zones  []string     // whose names are domains; nil is "test"
	Hosts  []netip.Addr // of the MX hosts mx1, mx2, ...; at least one
	Parent string       // of the MX hosts' names, below a zone; "" is "hosts.test"
	// Own gives each domain MX hosts of names of its own, below it, so that
	// each is a site of its own. Their addresses are still those of Hosts.
	Own bool
	MX  int    // MX records of a domain; 0 is 1, at most 16
	TTL uint32 // seconds; 0 is 300

	Latency  time.Duration // before each reply
	Jitter   time.Duration // added to Latency by chance, at most
	NXDomain float64       // part of the domains that do not exist
	ServFail float64       // part of the domains that get SERVFAIL
	Silent   float64       // part of the domains that get no reply

	// TXT are further TXT records by name, such as a DKIM key's; a name in
	// it need not be below a zone.
	TXT map[string]string
}

// Bounds of a Config.
const (
	maxMX  = 16
	maxTXT = 4000 // octets of a record
)

func (c *Config) fill() error {
	if len(c.Zones) == 0 {
		c.Zones = []string{"test"}
	}
	if c.Parent == "" {
		c.Parent = "hosts." + trim(c.Zones[0])
	}
	if c.MX == 0 {
		c.MX = 1
	}
	if c.TTL == 0 {
		c.TTL = 300
	}
	if len(c.Hosts) == 0 {
		return errors.New("names: no addresses of MX hosts")
	}
	if c.MX < 1 || c.MX > maxMX {
		return fmt.Errorf("names: %d MX records, not 1 to %d", c.MX, maxMX)
	}
	if c.Latency < 0 || c.Jitter < 0 {
		return errors.New("names: a time below 0")
	}
	sum := 0.0
	for _, part := range []float64{c.NXDomain, c.ServFail, c.Silent} {
		if !(part >= 0 && part <= 1) {
			return fmt.Errorf("names: %v is not a part from 0 to 1", part)
		}
		sum += part
	}
	if sum > 1 {
		return errors.New("names: the parts of the domains are more than 1")
	}
	for _, name := range append([]string{c.Parent}, c.Zones...) {
		if _, err := wireName(name); err != nil {
			return err
		}
	}
	for name, text := range c.TXT {
		if _, err := wireName(name); err != nil {
			return err
		}
		if len(text) > maxTXT {
			return fmt.Errorf("names: TXT of %s has %d octets, more than %d", name, len(text), maxTXT)
		}
	}
	return nil
}

// trim gives a name as rules compare it: lower case, no dot at the end.
func trim(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// wireName gives a name in labels (RFC 1035 section 3.1).
func wireName(name string) ([]byte, error) {
	var b []byte
	for label := range strings.SplitSeq(trim(name), ".") {
		if label == "" || len(label) > 63 {
			return nil, fmt.Errorf("names: %q is no domain name", name)
		}
		b = append(append(b, byte(len(label))), label...)
	}
	if b = append(b, 0); len(b) > maxName {
		return nil, fmt.Errorf("names: %q is too long", name)
	}
	return b, nil
}
