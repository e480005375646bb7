package sink

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"

	"tenma/bench/internet"
)

// Config is what a sink is made of.
type Config struct {
	// Listen are the addresses to take mail on: "127.0.0.1:12600",
	// "[::1]:0", or a range in the last number, "127.1.0.1-50:25".
	Listen []string
	// Control is where to serve Handler over HTTP; "" is nowhere. Whoever
	// reaches it controls the sink: keep it on loopback.
	Control string
	Name    string // said in the banner and to EHLO; "" is "sink.test"
	Run     string // whose messages are counted; "" is the run of the first tagged message

	Manner  internet.Manner            // of all addresses that have none of their own
	At      map[string]internet.Manner // by listening address, "127.1.0.3:25", or by its host
	Domains map[string]internet.Manner // by recipient domain in lower case; "*.test" is all below test. Says what happens from RCPT on

	Store    string // folder that messages are written to as files; "" for none
	StoreMax int64  // how many; 0: all
	// StoreLate keeps them in memory and writes them when Run ends, so that
	// neither the writing nor the disk is part of what is measured. Beyond 1 GiB
	// they are written at once.
	StoreLate bool
	MaxSize   int64  // octets of a message, where the manner has no SIZE; 0: 100 MiB
	Seed      uint64 // of all that happens by chance

	// Net opens a listener; nil is net.Listen.
	Net func(network, address string) (net.Listener, error)
}

const (
	defaultName = "sink.test"
	defaultSize = 100 << 20
	maxListen   = 4096 // addresses of one sink
)

// Parse reads a Config from words, as scenarios and the control port write
// them:
//
//	listen=127.0.0.1:12600,127.1.0.1-50:25  control=127.0.0.1:12699
//	name=sink.test  run=r1  store=DIR  store-max=1000  store-late  max-size=1000000  seed=7
//	manner WORDS  at=127.1.0.3 WORDS  domain=slow.test WORDS
//
// The words behind manner, at and domain are those of internet.ParseManner, up
// to the next of the three. tls is with a certificate that nobody vouches for.
func Parse(words []string) (Config, error) {
	cfg := Config{At: map[string]internet.Manner{}, Domains: map[string]internet.Manner{}}
	place := ""
	manners := map[string][]string{}
	for _, w := range words {
		key, value, valued := strings.Cut(w, "=")
		var err error
		switch {
		case w == "manner" || key == "at" && valued || key == "domain" && valued:
			if place = w; manners[w] == nil {
				manners[w] = []string{""} // a manner without words is a friendly one
			}
		case place != "":
			manners[place] = append(manners[place], w)
		case key == "listen":
			cfg.Listen = append(cfg.Listen, strings.Split(value, ",")...)
		case key == "control":
			cfg.Control = value
		case key == "name":
			cfg.Name = value
		case key == "run":
			cfg.Run = value
		case key == "store":
			cfg.Store = filepath.Clean(value)
		case key == "store-max":
			cfg.StoreMax, err = strconv.ParseInt(value, 10, 64)
		case w == "store-late":
			cfg.StoreLate = true
		case key == "max-size":
			cfg.MaxSize, err = strconv.ParseInt(value, 10, 64)
		case key == "seed":
			cfg.Seed, err = strconv.ParseUint(value, 10, 64)
		default:
			err = errors.New("unknown word")
		}
		if err != nil {
			return cfg, fmt.Errorf("sink %q: %w", w, err)
		}
	}
	for place, words := range manners {
		m, err := ParseManner(words)
		if err != nil {
			return cfg, fmt.Errorf("sink %s: %w", place, err)
		}
		switch key, value, _ := strings.Cut(place, "="); key {
		case "manner":
			cfg.Manner = m
		case "at":
			cfg.At[value] = m
		case "domain":
			cfg.Domains[strings.ToLower(value)] = m
		}
	}
	return cfg, nil
}

// ParseManner is internet.ParseManner with a certificate of its own where the
// words ask for TLS, and an error for what a sink cannot do.
func ParseManner(words []string) (internet.Manner, error) {
	var cert *tls.Config
	for _, w := range words {
		if strings.HasPrefix(w, "tls") {
			cert = internet.SelfSigned(defaultName)
			break
		}
	}
	m, err := internet.ParseManner(words, cert)
	if err == nil {
		err = able(&m)
	}
	return m, err
}

// able reports what a sink cannot do of a manner.
func able(m *internet.Manner) error {
	switch {
	case m.LMTP || len(m.Last) > 0:
		return errors.New("a sink does not speak LMTP")
	case m.User != "":
		return errors.New("a sink has no login")
	case m.Tarpit < 0 || m.MaxConns < 0 || m.MaxRcpt < 0 || m.MaxMessages < 0 || m.Size < 0:
		return errors.New("a limit below 0")
	}
	return nil
}

// Expand gives the addresses of a list in which the last number of an IPv4
// address may be a range: "127.1.0.1-50:25".
func Expand(listen []string) ([]string, error) {
	var all []string
	for _, a := range listen {
		host, port, err := net.SplitHostPort(a)
		if err != nil {
			return nil, fmt.Errorf("address %q: %w", a, err)
		}
		hosts, err := Hosts(host)
		if err != nil {
			return nil, fmt.Errorf("address %q: %w", a, err)
		}
		for _, h := range hosts {
			all = append(all, net.JoinHostPort(h.String(), port))
		}
		if len(all) > maxListen {
			return nil, fmt.Errorf("more than %d addresses", maxListen)
		}
	}
	return all, nil
}

// Hosts gives the addresses of "127.1.0.1-50", of which the number behind the
// hyphen is the last of the range, or of one address.
func Hosts(s string) ([]netip.Addr, error) {
	first, last, ranged := strings.Cut(s, "-")
	a, err := netip.ParseAddr(first)
	if err != nil || !ranged {
		return []netip.Addr{a}, err
	}
	end, err := strconv.ParseUint(last, 10, 8)
	if err != nil || !a.Is4() || byte(end) < a.As4()[3] {
		return nil, fmt.Errorf("%q is no range such as 127.1.0.1-50", s)
	}
	var all []netip.Addr
	for n := a.As4(); ; n[3]++ {
		all = append(all, netip.AddrFrom4(n))
		if n[3] == byte(end) {
			return all, nil
		}
	}
}
