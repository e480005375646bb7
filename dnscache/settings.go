package dnscache

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/miekg/dns"
)

// Defaults of Config, and limits that are not configured.
const (
	defaultTimeout  = 5 * time.Second
	defaultMinTTL   = 5 * time.Second
	defaultMaxTTL   = 24 * time.Hour
	defaultNegative = 5 * time.Minute
	defaultStale    = 24 * time.Hour // RFC 8767 section 4 suggests one to three days
	defaultMemory   = 64 << 20
	maxServers      = 8

	// defaultSockets: a load to domains that are met once keeps dozens of questions
	// under way; with 8, opening and closing sockets was an eighth of the relay's
	// time, with 64 it is a fortieth. One costs 4 KiB.
	defaultSockets = 64
)

// settings is one configuration, made whole, with the servers it leads to. It
// does not change; the servers in it keep their own state.
type settings struct {
	Config  // as given, for reload
	timeout time.Duration
	minTTL  time.Duration
	maxTTL  time.Duration
	denial  time.Duration
	stale   time.Duration
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
	servers []*server
	conf    os.FileInfo // of the resolv.conf that was read; nil if none was
}

func newSettings(cfg Config, resolvConf string) (*settings, error) {
	cfg.MaxMemory = cmp.Or(cfg.MaxMemory, defaultMemory)
	s := &settings{
		Config:  cfg,
		timeout: cmp.Or(cfg.Timeout, defaultTimeout),
		minTTL:  cmp.Or(cfg.MinTTL, defaultMinTTL),
		maxTTL:  cmp.Or(cfg.MaxTTL, defaultMaxTTL),
		denial:  cmp.Or(cfg.Negative, defaultNegative),
		stale:   cmp.Or(cfg.StaleFor, defaultStale),
		dial:    cfg.Dial,
	}
	if s.timeout < 0 || s.minTTL < 0 || s.maxTTL < s.minTTL || s.denial < 0 || s.stale < 0 || cfg.MaxMemory < 0 || cfg.Sockets < 0 {
		return nil, fmt.Errorf("dns: negative setting, or MaxTTL below MinTTL")
	}
	if s.dial == nil {
		s.dial = new(net.Dialer).DialContext
	}
	names := cfg.Servers
	if len(names) == 0 {
		names = s.systemServers(resolvConf)
	}
	if len(names) > maxServers {
		return nil, fmt.Errorf("dns: %d servers, more than %d", len(names), maxServers)
	}
	for _, name := range names {
		srv, err := newServer(name, cfg.TrustAD, cmp.Or(cfg.Sockets, defaultSockets))
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(s.servers, func(o *server) bool { return o.addr == srv.addr }) {
			s.servers = append(s.servers, srv)
		}
	}
	return s, nil
}

// systemServers reads resolv.conf. Without a server there, the one on this
// host is asked, as resolv.conf(5) says.
func (s *settings) systemServers(path string) []string {
	local := []string{"127.0.0.1:53"}
	info, err := os.Stat(path)
	if err != nil {
		return local
	}
	s.conf = info
	conf, err := dns.ClientConfigFromFile(path)
	if err != nil || len(conf.Servers) == 0 {
		return local
	}
	names := make([]string, 0, len(conf.Servers))
	for _, host := range conf.Servers[:min(len(conf.Servers), maxServers)] {
		names = append(names, net.JoinHostPort(host, conf.Port))
	}
	return names
}

func (s *settings) resolvConfChanged(path string) bool {
	info, err := os.Stat(path)
	if err != nil || s.conf == nil {
		return err == nil // gone: keep what we have; new: read it
	}
	return !info.ModTime().Equal(s.conf.ModTime()) || info.Size() != s.conf.Size()
}

func (s *settings) addresses() []string {
	var all []string
	for _, srv := range s.servers {
		all = append(all, srv.addr)
	}
	return all
}

// sameView reports that both ask the same servers with the same belief.
func (s *settings) sameView(o *settings) bool {
	return s.TrustAD == o.TrustAD && slices.Equal(s.addresses(), o.addresses())
}

// adopt takes over the servers of old, with what is known about them.
func (s *settings) adopt(old *settings) {
	s.servers = old.servers
	for _, srv := range s.servers {
		srv.setKeep(cmp.Or(s.Sockets, defaultSockets))
	}
}

func (s *settings) close() {
	for _, srv := range s.servers {
		srv.setKeep(0)
	}
}

// newServer reads "host:port", "address:port" or a bare address, which means
// port 53.
func newServer(name string, trustAD bool, keep int) (*server, error) {
	if a, err := netip.ParseAddr(name); err == nil {
		name = netip.AddrPortFrom(a, 53).String()
	}
	host, port, err := net.SplitHostPort(name)
	if err != nil {
		return nil, fmt.Errorf("dns: server %q is not host:port", name)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" {
		return nil, fmt.Errorf("dns: server %q is not host:port", name)
	}
	// The AD bit is a mere claim of whoever answers. It is worth as much as
	// the path to the server, and only the path to loopback is surely ours
	// (RFC 4035 section 4.9.3).
	a, err := netip.ParseAddr(host)
	return &server{addr: name, believed: trustAD || err == nil && a.Unmap().IsLoopback(), keep: keep}, nil
}
