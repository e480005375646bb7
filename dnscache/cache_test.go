package dnscache

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tenma/dnscache/dnstest"
)

const zoneText = `
example.test.        300  SOA  ns.example.test. root.example.test. 1 3600 600 86400 60
example.test.        300  MX   20 b.example.test.
example.test.        300  MX   10 A.example.test.
example.test.        300  TXT  "v=spf1 " "-all"
a.example.test.      300  A    192.0.2.1
a.example.test.      300  AAAA 2001:db8::1
b.example.test.      300  A    192.0.2.2
alias.example.test.  100  CNAME a.example.test.
chain.example.test.  100  CNAME alias.example.test.
dangle.example.test. 300  CNAME nowhere.example.test.
loop.example.test.   300  CNAME pool.example.test.
pool.example.test.   300  CNAME loop.example.test.
*.wild.test.         300  MX   0 mx.wild.test.
null.test.           300  MX   0 .
short.test.          1    A    192.0.2.3
long.test.           9000000 A 192.0.2.4
_25._tcp.a.example.test. 300 TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
1.2.0.192.in-addr.arpa. 300 PTR a.example.test.
bytes.test.          300 TXT "a\"b\\c\200d"
`

// rig is a cache over one server in memory.
type rig struct {
	*Cache
	server *dnstest.Server
}

func newRig(t *testing.T, change func(*Config)) rig {
	t.Helper()
	r := rig{server: dnstest.New(zoneText)}
	cfg := Config{Servers: []string{"127.0.0.1:53"}, Dial: r.server.Dial}
	if change != nil {
		change(&cfg)
	}
	c, err := New(cfg, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	r.Cache = c
	return r
}

// run starts Run and gives a function that ends it and waits.
func (r rig) run(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	synctest.Wait()
	return func() { cancel(); done.Wait() }
}

// several dials one server per address.
func several(servers map[string]*dnstest.Server) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		return servers[address].Dial(ctx, network, address)
	}
}

func addrs(t *testing.T, texts ...string) []netip.Addr {
	t.Helper()
	var all []netip.Addr
	for _, s := range texts {
		all = append(all, netip.MustParseAddr(s))
	}
	return all
}

func within(t *testing.T, what string, got, low, high time.Duration) {
	t.Helper()
	if got < low || got > high {
		t.Errorf("%s is %v, want %v to %v", what, got, low, high)
	}
}
