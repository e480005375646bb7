package dnscache

import (
	"errors"
	"testing"
	"testing/synctest"

	"tenma/dnscache/dnstest"
)

// What is shown: that each server that answers validates, and that its word can
// be believed.
func TestValidates(t *testing.T) {
	for _, c := range []struct {
		why     string
		servers []string
		trust   bool
		secure  bool
		manner  dnstest.Manner
		want    error
	}{
		{"a server here that validates", []string{"127.0.0.1:53"}, false, true, dnstest.Manner{}, nil},
		{"one that does not", []string{"127.0.0.1:53"}, false, false, dnstest.Manner{}, ErrInsecure},
		{"one far away that says so", []string{"192.0.2.53:53"}, false, true, dnstest.Manner{}, ErrInsecure},
		{"one that the operator trusts", []string{"192.0.2.53:53"}, true, true, dnstest.Manner{}, nil},
		{"one here and one far away", []string{"127.0.0.1:53", "192.0.2.53:53"}, false, true, dnstest.Manner{}, ErrInsecure},
		{"a server that fails", []string{"127.0.0.1:53"}, false, true, dnstest.Manner{Fault: dnstest.ServFail}, ErrTemporary},
	} {
		t.Run(c.why, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := dnstest.New("a.test. 300 A 192.0.2.1")
				server.Secure(c.secure)
				server.Misbehave("NS .", c.manner)
				cache, err := New(Config{Servers: c.servers, TrustAD: c.trust, Dial: server.Dial}, Deps{})
				if err != nil {
					t.Fatal(err)
				}
				if err := cache.Validates(t.Context(), "."); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
					t.Errorf("%v, want %v", err, c.want)
				}
			})
		})
	}
}
