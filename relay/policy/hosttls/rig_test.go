package hosttls_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tenma/bench/internet/fakenet"
	"tenma/dnscache"
	"tenma/dnscache/dnstest"
	"tenma/metrics"
	"tenma/relay/mail"
	"tenma/relay/policy/hosttls"
)

// rig is an adviser above a real cache above a DNS server in memory, with a web
// server that has policies.
type rig struct {
	*hosttls.Adviser
	t     *testing.T
	dns   *dnstest.Server
	cache *dnscache.Cache
	net   *fakenet.Net
	roots *x509.CertPool
	web   *http.Server

	registry *prometheus.Registry

	told  []*mail.TLSResult // policies that could not be had
	asked atomic.Int32      // requests for policies
	// answer is what the web server does; it may be changed at any time.
	answer atomic.Pointer[http.HandlerFunc]
}

// webAddresses are those of the web server; one is private.
var webAddresses = []string{"198.51.100.80:443", "10.0.0.1:443"}

// newRig makes a rig within a bubble. The web server's certificate is for
// certName.
func newRig(t *testing.T, cfg hosttls.Config, zone, certName string, keep ...hosttls.Keeper) *rig {
	t.Helper()
	r := &rig{t: t, dns: dnstest.New(zone), net: fakenet.New(), roots: x509.NewCertPool()}
	r.dns.Secure(true)
	var err error
	if r.cache, err = dnscache.New(dnscache.Config{Servers: []string{"127.0.0.1:53"}, Dial: r.dns.Dial}, dnscache.Deps{}); err != nil {
		t.Fatal(err)
	}
	r.registry = prometheus.NewRegistry()
	cert := selfSigned(t, certName)
	r.roots.AddCert(cert.Leaf)
	deps := hosttls.Deps{
		Results:  func(told *mail.TLSResult) { r.told = append(r.told, told) },
		Resolver: r.cache, Dialer: r.net, Public: func(a netip.Addr) bool { return !a.IsPrivate() }, Roots: r.roots, Metrics: metrics.New(r.registry).HostTLS,
	}
	if len(keep) > 0 {
		deps.Keeper = keep[0]
	}
	r.Adviser = hosttls.New(cfg, deps)
	r.web = &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.asked.Add(1)
		if q.URL.Path != "/.well-known/mta-sts.txt" {
			t.Errorf("asked for %s", q.URL)
		}
		(*r.answer.Load())(w, q)
	})}
	var served sync.WaitGroup
	for _, address := range webAddresses {
		l, err := r.net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		served.Go(func() { _ = r.web.Serve(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{*cert}})) })
	}
	t.Cleanup(func() {
		_ = r.web.Close()
		served.Wait()
	})
	return r
}

// publish has the web server answer with a policy.
func (r *rig) publish(lines ...string) {
	text := "version: STSv1\n" + strings.Join(lines, "\n") + "\n"
	r.does(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, text)
	})
}

func (r *rig) does(f http.HandlerFunc) { r.answer.Store(&f) }

// run is the adviser's Run for the rest of the test.
func (r *rig) run() {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	r.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			r.t.Error(err)
		}
	})
}

// wantAsked checks how many requests there were since it was last asked.
func (r *rig) wantAsked(want int32) {
	r.t.Helper()
	if got := r.asked.Swap(0); got != want {
		r.t.Errorf("%d requests, want %d", got, want)
	}
}

// value is what a counter or gauge says: "name" or "name result".
func (r *rig) value(what string) (sum float64) {
	r.t.Helper()
	name, result, _ := strings.Cut(what, " ")
	families, err := r.registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "tenma_hosttls_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			if result == "" || m.GetLabel()[0].GetValue() == result {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

func selfSigned(t *testing.T, name string) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}
