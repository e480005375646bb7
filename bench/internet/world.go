package internet

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"time"
)

// Provider is one organisation that receives mail: domains, the hosts that
// their MX records name, and the manner of those hosts.
type Provider struct {
	Name    string   // for people
	Domains []string // without trailing dot
	Hosts   []Host   // the first has the best preference
	Manner  Manner
	What    string // its manner in words
}

// Host is one MX host.
type Host struct {
	Name    string
	Address string // IP address
}

// Zone gives the DNS records of the providers as a zone text.
func Zone(providers []Provider) string {
	var b strings.Builder
	for _, p := range providers {
		for _, d := range p.Domains {
			for i, h := range p.Hosts {
				fmt.Fprintf(&b, "%s. 300 IN MX %d %s.\n", d, 10*(i+1), h.Name)
			}
		}
		for _, h := range p.Hosts {
			kind := "A"
			if strings.Contains(h.Address, ":") {
				kind = "AAAA"
			}
			fmt.Fprintf(&b, "%s. 300 IN %s %s\n", h.Name, kind, h.Address)
		}
	}
	return b.String()
}

// Receivers opens every host of the providers with listen on port and serves
// until ctx is cancelled. The hosts are given by name; wait returns when all
// have ended. take is as in NewReceiver.
func Receivers(ctx context.Context, providers []Provider, port string, listen func(network, address string) (net.Listener, error), take func(Message)) (hosts map[string]*Receiver, wait func(), err error) {
	hosts = map[string]*Receiver{}
	var open []net.Listener
	var wg sync.WaitGroup
	start := []func(){}
	for _, p := range providers {
		for i, h := range p.Hosts {
			l, err := listen("tcp", net.JoinHostPort(h.Address, port))
			if err != nil {
				for _, l := range open {
					l.Close()
				}
				return nil, nil, fmt.Errorf("%s: %w", h.Name, err)
			}
			open = append(open, l)
			r := NewReceiver(h.Name, p.Manner, uint64(i), take)
			hosts[h.Name] = r
			start = append(start, func() { r.Serve(ctx, l) })
		}
	}
	for _, f := range start {
		wg.Go(f)
	}
	return hosts, wg.Wait, nil
}

// SelfSigned makes a server's TLS configuration with a new certificate for
// name that nobody vouches for.
func SelfSigned(name string) *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // the system has no randomness
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		DNSNames:     []string{name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(1, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		panic(err) // the template above is at fault
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// Sample is a small internet in which every manner occurs that a sender meets
// in a day.
func Sample() []Provider {
	const d = time.Millisecond
	return []Provider{
		{
			Name: "quickmail", Domains: []string{"quickmail.test", "customer-of-quickmail.test"}, What: "quick, two hosts",
			Hosts:  []Host{{"mx1.quickmail.test", "203.0.113.11"}, {"mx2.quickmail.test", "203.0.113.12"}},
			Manner: Manner{TLS: SelfSigned("mx1.quickmail.test")},
		},
		{
			Name: "slowmail", Domains: []string{"slowmail.test"}, What: "slow: 0.8 s for each message, 3 connections",
			Hosts:  []Host{{"mx.slowmail.test", "203.0.113.21"}},
			Manner: Manner{Wait: map[string]time.Duration{AtConnect: 200 * d, AtDot: 800 * d}, MaxConns: 3},
		},
		{
			Name: "greylist", Domains: []string{"greylist.test"}, What: "greylisting: the first try fails, 20 s later it works",
			Hosts:  []Host{{"mx.greylist.test", "203.0.113.31"}},
			Manner: Manner{Greylist: 20 * time.Second},
		},
		{
			Name: "strict", Domains: []string{"strict.test"}, What: "TLS or nothing",
			Hosts:  []Host{{"mx.strict.test", "203.0.113.41"}},
			Manner: Manner{TLS: SelfSigned("mx.strict.test"), TLSRequired: true},
		},
		{
			Name: "oldtimer", Domains: []string{"oldtimer.test"}, What: "knows only HELO; every tenth user is unknown",
			Hosts:  []Host{{"mail.oldtimer.test", "203.0.113.51"}},
			Manner: Manner{HELOOnly: true, Unknown: 0.1},
		},
		{
			Name: "shaky", Domains: []string{"shaky.test"}, What: "every fourth message gets a 451 at its end",
			Hosts:  []Host{{"mx.shaky.test", "203.0.113.61"}},
			Manner: Manner{TempFail: 0.25},
		},
	}
}
