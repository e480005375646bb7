package config

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"tenma/relay/admin"
	"tenma/relay/config/document"
	"tenma/relay/ingress"
	"tenma/relay/wire/smtp"
)

// listeners reads every [[listen]] and what they mean together.
func (r *reader) listeners(s *section, c *Config) {
	l := &listenReader{reader: r, c: c}
	s.Each("listen", l.one)
	r.relays = l.relays
}

// useful tells what the listeners lack as a whole, once nothing else is wrong.
func (r *reader) useful(c *Config) {
	switch {
	case len(r.Errs) > 0:
	case len(c.Ingress.Listeners)+len(c.Admin.Listeners)+len(c.IMAP.Listeners)+len(c.POP3.Listeners) == 0:
		r.Errorf(place{}, "nothing listens: add a [[listen]] with protocol and address")
	case len(c.Ingress.Listeners) > 0 && !r.relays:
		r.Warnf(place{}, "no listener lets anyone relay: none has relay_from, and none offers AUTH over TLS")
	}
}

type listenReader struct {
	*reader
	c      *Config
	taken  []taken
	relays bool // some listener lets someone relay
}

// taken is an address that a listener has.
type taken struct {
	text string
	host string
	port string
	at   place
}

func (l *listenReader) one(s *section) {
	var protocol, address string
	p := s.String("protocol", &protocol)
	a := s.String("address", &address)
	if p == nil && s.Values["protocol"] == nil {
		s.Errorf(s.At, `[[listen]] has no protocol; write protocol = "smtp"`)
	}
	if a == nil && s.Values["address"] == nil {
		s.Errorf(s.At, `[[listen]] has no address; write address = "127.0.0.1:2525"`)
	}
	if a != nil {
		address = l.address(s, a)
	}
	// Every key is asked for whatever the protocol, so that each is known; what
	// does not fit the protocol is then reported as that.
	in := ingress.Listener{Address: address, LMTP: protocol == "lmtp"}
	limits, limited := l.limits(s)
	if limited {
		in.Limits = &limits
	}
	l.modes(s, &in, protocol)
	only := false
	if v := s.Bool("setup_only", &only); v != nil && protocol != "http" && protocol != "imap" && protocol != "pop3" {
		s.Errorf(s.KeyAt["setup_only"], "setup_only is for protocol http")
	}
	switch protocol {
	case "smtp", "lmtp":
		l.c.Ingress.Listeners = append(l.c.Ingress.Listeners, in)
	case "http":
		l.http(s, in, only)
	case "imap", "pop3":
		l.people(s, in, protocol)
	case "":
	default:
		words := []string{"smtp", "lmtp", "imap", "pop3", "http"}
		hint := ""
		switch protocol {
		case "submission", "submissions", "smtps":
			hint = `; submission is protocol = "smtp" with auth = "required"`
		case "https", "imaps", "pop3s":
			hint = fmt.Sprintf(`; it is protocol = %q with tls = "implicit"`, strings.TrimSuffix(protocol, "s"))
		default:
			if n := document.Nearest(protocol, words); n != "" {
				hint = "; did you mean " + strconv.Quote(n) + "?"
			}
		}
		s.Errorf(p.At, "protocol must be one of %s, not %q%s", document.Quoted(words), document.Clip(protocol), hint)
	}
}

// modes reads what SMTP and LMTP listeners know besides limits.
func (l *listenReader) modes(s *section, in *ingress.Listener, protocol string) {
	mode := map[string]string{"smtp": "starttls", "imap": "starttls", "pop3": "starttls"}[protocol]
	if mode == "" {
		mode = "off"
	}
	tlsAt := s.Choice("tls", &mode, "off", "starttls", "implicit")
	in.TLS = ingress.TLSMode(mode)

	must := "optional"
	if in.TLS == ingress.TLSOff || in.LMTP {
		must = "off"
	}
	authAt := s.Choice("auth", &must, "off", "optional", "required")
	in.Auth = ingress.AuthMode(must)
	in.Submission = in.Auth == ingress.AuthMust

	relayAt := s.Prefixes("relay_from", &in.RelayFrom)
	var lf string
	if s.Choice("bare_lf", &lf, "refuse", "normalize") != nil {
		in.BareLF = ingress.BareLF(lf)
	}
	s.Bool("submission", &in.Submission)
	if at := s.Bool("trust_tenant_header", &in.TrustTenantHeader); in.TrustTenantHeader && in.Submission {
		s.Warnf(at.At, "trust_tenant_header where people submit: any account that is of no tenant may name one there, and send as its domains; keep it to listeners for programs")
	}
	s.Prefixes("proxy_protocol_from", &in.ProxyFrom)

	if protocol != "smtp" && protocol != "lmtp" {
		return
	}
	if in.TLS == ingress.TLSOff && in.Auth != ingress.AuthOff {
		at := s.At
		if authAt != nil {
			at = authAt.At
		} else if tlsAt != nil {
			at = tlsAt.At
		}
		s.Errorf(at, `auth = %q with tls = "off": passwords are never taken without TLS, so nobody could log in; set tls, or auth = "off"`, must)
	}
	if len(in.RelayFrom) > 0 || in.Auth != ingress.AuthOff {
		l.relays = true
	}
	if relayAt != nil {
		l.openRelay(s, in, relayAt.At)
	}
}

// openRelay warns where relay_from lets the whole internet through.
func (l *listenReader) openRelay(s *section, in *ingress.Listener, at place) {
	if host, _, err := net.SplitHostPort(in.Address); err == nil && isLoopback(host) && len(in.ProxyFrom) == 0 {
		return
	}
	for _, p := range in.RelayFrom {
		if p.Bits() == 0 {
			s.Warnf(at, "open relay: relay_from %s lets anyone send to anyone through %s; it will be found and blocklisted within hours", p, in.Address)
		} else if p.Addr().Is4() && p.Bits() < 8 || p.Addr().Is6() && p.Bits() < 16 {
			s.Warnf(at, "relay_from %s holds more addresses than any one network has; is this an open relay?", p)
		}
	}
}

func (l *listenReader) http(s *section, in ingress.Listener, only bool) {
	l.only(s, "http", "protocol", "address", "tls", "setup_only")
	if in.TLS == ingress.TLSStart {
		s.Errorf(s.Values["tls"].At, `tls = "starttls" does not exist for http; write "off" or "implicit"`)
	}
	host, _, err := net.SplitHostPort(in.Address)
	if err == nil && in.TLS == ingress.TLSOff && !isLoopback(host) && !only {
		s.Warnf(s.Values["address"].At, `http without tls on %s: the admin token crosses the network in the clear; use tls = "implicit" or a loopback address`, in.Address)
	}
	l.c.Admin.Listeners = append(l.c.Admin.Listeners, admin.Listener{Address: in.Address, TLS: in.TLS == ingress.TLSImplicit, SetupOnly: only})
}

// limits reads the max_... keys.
func (l *listenReader) limits(s *section) (ingress.Limits, bool) {
	m := ingress.DefaultLimits()
	before := m
	s.Integer("max_connections", &m.Connections, 1, 1e6)
	s.Integer("max_connections_per_ip", &m.ConnectionsPerIP, 1, 1e6)
	s.Integer("max_connection_rate_per_ip", &m.RatePerIP, 1, 1e6)
	s.Integer("max_messages", &m.Messages, 1, 1e9)
	s.Size("max_message_size", &m.MessageSize, 1024, 1<<40)
	s.Integer("max_recipients", &m.Recipients, 1, 100000)
	s.Integer("max_commands", &m.Commands, 10, 1e6)
	s.Integer("max_errors", &m.Errors, 1, 1e6)
	s.Duration("idle_timeout", &m.Idle, time.Second, time.Hour)
	s.Duration("idle_timeout_under_load", &m.IdleUnderLoad, time.Second, time.Hour)
	s.Duration("body_timeout", &m.Body, time.Second, 24*time.Hour)
	s.Integer("min_body_rate", &m.BodyRate, 1, 1e9)
	if m.Recipients < 100 {
		s.Warnf(s.Values["max_recipients"].At, "max_recipients is below the 100 that RFC 5321 section 4.5.3.1.8 asks for")
	}
	return m, m != before
}

// address checks "host:port" and that no other listener has it.
func (l *listenReader) address(s *section, v *value) string {
	host, port, err := net.SplitHostPort(v.Text)
	n, errPort := strconv.ParseUint(port, 10, 16)
	if err != nil || errPort != nil {
		s.Errorf(v.At, `address: %q is not "host:port"; write "127.0.0.1:2525", "[::1]:2525" or ":25" for all addresses`, document.Clip(v.Text))
		return ""
	}
	if host != "" && !isIP(host) {
		if _, err := smtp.ParseDomain(host); err != nil {
			s.Errorf(v.At, "address: %q is neither an address nor a host name", document.Clip(host))
			return ""
		}
	}
	here := taken{v.Text, host, port, v.At}
	for _, t := range l.taken {
		if n != 0 && t.port == port && overlap(t.host, host) {
			s.Errorf(v.At, "address %s is already taken by the listener %s in line %d", v.Text, t.text, t.at.Line)
			break
		}
	}
	l.taken = append(l.taken, here)
	if a, err := netip.ParseAddr(host); err == nil && n == uint64(l.c.Route.Port) {
		l.c.Route.Own = append(l.c.Route.Own, a)
	}
	return v.Text
}

// overlap reports whether two listeners of one port get in each other's way: a
// wildcard takes every address (":25" and "[::]:25" take IPv4's as well).
func overlap(a, b string) bool {
	x, errX := netip.ParseAddr(a)
	y, errY := netip.ParseAddr(b)
	switch {
	case a == "" || b == "" || a == b:
		return true
	case errX != nil || errY != nil:
		return false
	case x == y:
		return true
	case x.IsUnspecified():
		return x.Is6() || y.Is4()
	case y.IsUnspecified():
		return y.Is6() || x.Is4()
	}
	return false
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback() || host == "localhost"
}

// hostPort completes an address of a server with its usual port.
func hostPort(s, port string) (string, bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		return net.JoinHostPort(a.String(), port), true
	}
	if a, err := netip.ParseAddrPort(s); err == nil && a.Port() != 0 {
		return a.String(), true
	}
	return "", false
}
