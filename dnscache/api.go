package dnscache

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"
)

// Errors of lookups, told apart with errors.Is. An answer that is none of
// these is a temporary failure too.
var (
	ErrNotFound  = errors.New("dns: no such domain") // NXDOMAIN (RFC 8020)
	ErrNoData    = errors.New("dns: no such record") // NOERROR without the type
	ErrTemporary = errors.New("dns: no answer")      // SERVFAIL, REFUSED, silence
)

// MX is one mail exchanger. Host has no trailing dot and is in lower case; it
// is "" for the null MX (RFC 7505).
type MX struct {
	Host string
	Pref uint16
}

// TLSA is one TLSA record (RFC 6698 section 2).
type TLSA struct {
	Usage, Selector, MatchingType uint8
	Data                          []byte
}

// Answer is what a lookup found. With ErrNotFound, ErrNoData and ErrTemporary,
// Secure and TTL are set too: they are the denial's or, for ErrTemporary, the
// time for which the question is not asked again.
type Answer[T any] struct {
	Records []T           // shared with the cache and with other callers: not to be changed
	Secure  bool          // the AD bit of a resolver we believe (RFC 4035 section 3.2.3)
	Stale   bool          // past its time, no server answers; addresses only (RFC 8767)
	TTL     time.Duration // that is left
	// Canonical is the name at which a chain of aliases (CNAME) ended, "" if
	// the name asked for is none. TLSA records may stand at either name (RFC
	// 7672 section 2.2.2).
	Canonical string
}

// Config is what a Cache is told. The zero value works.
type Config struct {
	Servers   []string      // host:port; empty: the system's resolv.conf
	TrustAD   bool          // believe the AD bit of servers that are not loopback
	Timeout   time.Duration // of one lookup; 0: 5 s
	MinTTL    time.Duration // 0: 5 s
	MaxTTL    time.Duration // 0: 24 h
	Negative  time.Duration // longest time that a denial is kept; 0: 5 min
	StaleFor  time.Duration // 0: 24 h
	MaxMemory int64         // octets of answers, estimated; 0: 64 MiB
	Sockets   int           // idle UDP sockets that are kept for each server; 0: 64

	// Dial opens sockets to servers, nil for the system's; tests give their own.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Lookups is what a Cache offers; its users declare the parts that they need.
type Lookups interface {
	LookupMX(ctx context.Context, domain string) (Answer[MX], error)
	LookupAddrs(ctx context.Context, host string) (Answer[netip.Addr], error) // A and AAAA
	LookupTXT(ctx context.Context, name string) (Answer[string], error)
	LookupPTR(ctx context.Context, addr netip.Addr) (Answer[string], error)
	LookupTLSA(ctx context.Context, name string) (Answer[TLSA], error)
}
