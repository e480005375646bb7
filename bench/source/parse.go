package source

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"tenma/bench/load"
	"tenma/bench/source/letter"
)

// setters are the words of Parse. The flags of "tenma bench source" have the
// same names.
var setters = map[string]func(c *Config, value string) error{
	"address":  text(func(c *Config) *string { return &c.Address }),
	"run":      text(func(c *Config) *string { return &c.Run }),
	"hello":    text(func(c *Config) *string { return &c.Hello }),
	"ca":       text(func(c *Config) *string { return &c.CAFile }),
	"name":     text(func(c *Config) *string { return &c.ServerName }),
	"user":     text(func(c *Config) *string { return &c.User }),
	"password": text(func(c *Config) *string { return &c.Password }),
	"from":     text(func(c *Config) *string { return &c.From }),
	"corpus":   text(func(c *Config) *string { return &c.Corpus }),
	"mechanism": func(c *Config, v string) error {
		return choose(&c.Mechanism, v, map[string]string{"plain": "PLAIN", "login": "LOGIN", "scram-sha-256": "SCRAM-SHA-256"})
	},

	"sessions":    number(func(c *Config) *int { return &c.Sessions }),
	"per-session": number(func(c *Config) *int { return &c.PerSession }),
	"window":      number(func(c *Config) *int { return &c.Window }),
	"recipients":  number(func(c *Config) *int { return &c.Recipients }),
	"users":       number(func(c *Config) *int { return &c.Users }),
	"count": func(c *Config, v string) (err error) {
		c.Count, err = strconv.ParseInt(v, 10, 64)
		return err
	},
	"seed": func(c *Config, v string) (err error) {
		c.Seed, err = strconv.ParseUint(v, 10, 64)
		return err
	},

	"duration": span(func(c *Config) *time.Duration { return &c.Duration }),
	"timeout":  span(func(c *Config) *time.Duration { return &c.Timeout }),
	"patience": span(func(c *Config) *time.Duration { return &c.Patience }),
	"grace":    span(func(c *Config) *time.Duration { return &c.Grace }),
	"wait":     span(func(c *Config) *time.Duration { return &c.Wait }),

	"lmtp":   flag(func(c *Config) *bool { return &c.LMTP }),
	"bdat":   flag(func(c *Config) *bool { return &c.BDAT }),
	"verify": flag(func(c *Config) *bool { return &c.Verify }),
	"resume": flag(func(c *Config) *bool { return &c.Resume }),

	"pipeline": func(c *Config, v string) error {
		return choose(&c.Pipelining, v, map[string]Pipelining{"off": PipelineOff, "on": PipelineOn, "across": PipelineAcross})
	},
	"tls": func(c *Config, v string) error {
		return choose(&c.TLS, v, map[string]TLSMode{"off": TLSNone, "starttls": TLSStart, "implicit": TLSImplicit})
	},
	"spacing": func(c *Config, v string) error {
		return choose(&c.Spacing, v, map[string]Spacing{"poisson": SpacingPoisson, "constant": SpacingConstant})
	},
	"rate": func(c *Config, v string) (err error) {
		c.Rate, err = ParseRate(v)
		return err
	},
	"domains": func(c *Config, v string) (err error) {
		c.Domains, err = letter.ParseDomains(v)
		return err
	},
	"size": func(c *Config, v string) (err error) {
		c.Size, err = letter.ParseSizes(v)
		return err
	},
	"bind": func(c *Config, v string) (err error) {
		c.Bind, err = ParseBind(v)
		return err
	},
	"sink": func(c *Config, v string) error {
		s, err := load.NewControl(v)
		if err == nil {
			c.Sink = s
		}
		return err
	},
}

// Parse makes a Config of words, beginning from Default:
//
//	address=127.0.0.1:25 sessions=50 per-session=20 count=10000 duration=60s
//	rate=500 | rate=100..5000/60s   spacing=poisson|constant
//	pipeline=off|on|across  bdat  window=4  lmtp  hello=source.test
//	tls=off|starttls|implicit  ca=FILE  verify  name=HOST  resume=yes|no
//	user=ann password=secret mechanism=plain|login|scram-sha-256
//	from=bench@src.test recipients=1 users=100
//	domains=big.test=70,small.test/1000~1.1=30   size=4KiB=80,64KiB=20
//	corpus=FOLDER  bind=127.0.0.2-127.0.0.9  run=NAME  seed=1
//	sink=http://127.0.0.1:2599 wait=20s  timeout=5m patience=10s grace=5s
//
// A word that is given twice counts as it stands last. An error names the word.
func Parse(words []string) (Config, error) {
	c := Default()
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		set := setters[key]
		if set == nil {
			return c, fmt.Errorf("%q is no word of a source", key)
		}
		if err := set(&c, value); err != nil {
			if key == "password" {
				w = key
			}
			return c, fmt.Errorf("%s: %w", w, err)
		}
	}
	return c, c.check()
}

// ParseBind reads addresses, ranges "127.0.0.2-127.0.0.9" and prefixes
// "127.1.0.0/24", parted by commas; 65,536 addresses at most.
func ParseBind(text string) ([]netip.Addr, error) {
	const most = 1 << 16
	var all []netip.Addr
	for item := range strings.SplitSeq(text, ",") {
		var first, last netip.Addr
		var err error
		if low, high, ok := strings.Cut(item, "-"); ok {
			if first, err = netip.ParseAddr(low); err == nil {
				last, err = netip.ParseAddr(high)
			}
		} else if strings.Contains(item, "/") {
			var p netip.Prefix
			if p, err = netip.ParsePrefix(item); err == nil {
				first = p.Masked().Addr()
				for a := first; a.IsValid() && p.Contains(a) && len(all) < most; a = a.Next() {
					all = append(all, a)
				}
				continue
			}
		} else if first, err = netip.ParseAddr(item); err == nil {
			last = first
		}
		if err != nil || first.BitLen() != last.BitLen() || last.Less(first) {
			return nil, fmt.Errorf("%q is neither an address, a range such as 127.0.0.2-127.0.0.9, nor a prefix", item)
		}
		for a := first; a.IsValid() && !last.Less(a) && len(all) < most; a = a.Next() {
			all = append(all, a)
		}
	}
	if len(all) >= most {
		return nil, fmt.Errorf("more than %d addresses", most-1)
	}
	return all, nil
}

func text(field func(*Config) *string) func(*Config, string) error {
	return func(c *Config, v string) error {
		*field(c) = v
		return nil
	}
}

func number(field func(*Config) *int) func(*Config, string) error {
	return func(c *Config, v string) (err error) {
		*field(c), err = strconv.Atoi(v)
		return err
	}
}

func span(field func(*Config) *time.Duration) func(*Config, string) error {
	return func(c *Config, v string) (err error) {
		*field(c), err = time.ParseDuration(v)
		return err
	}
}

func flag(field func(*Config) *bool) func(*Config, string) error {
	return func(c *Config, v string) error {
		return choose(field(c), v, map[string]bool{"": true, "yes": true, "no": false, "true": true, "false": false})
	}
}

// choose sets a field to what a word stands for.
func choose[T any](field *T, word string, values map[string]T) error {
	v, ok := values[strings.ToLower(word)]
	if !ok {
		names := make([]string, 0, len(values))
		for name := range values {
			if name != "" {
				names = append(names, name)
			}
		}
		return fmt.Errorf("%q is none of %s", word, strings.Join(slices.Sorted(slices.Values(names)), ", "))
	}
	*field = v
	return nil
}

// readFile reads a file of settings, at most 16 MiB.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > 16<<20 {
		return nil, fmt.Errorf("%s is larger than 16 MiB", path)
	}
	return os.ReadFile(path)
}
