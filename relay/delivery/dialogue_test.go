package delivery_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"tenma/bench/internet/fakenet"
	"tenma/metrics"
	"tenma/relay/delivery"
	"tenma/relay/delivery/dial"
	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// TestDialogues runs the stories in testdata. A story is lines:
//
//	set WORD [VALUE]          configuration and route, see story.set
//	host NAME PREF ADDR...    a host of the route; without one: mx.test at 192.0.2.1
//	demand DOMAIN HOST WORD   what the guard says, see guard.Demand; "set results" tells what it heard
//	message NAME FROM TO... [FLAG...]   in the order in which next gives them
//	body NAME [N x] "quoted text"
//	deliver NAME...           one call of Deliver; without one: all in one call
//	later DURATION            passes between two calls
//	cancel AFTER              cancels the context so long after Deliver began
//	on ADDR                   the next connection to ADDR, until the next "on"
//	    S: line               the server says
//	    C: line               the client must say
//	    raw "quoted"          the server says, byte for byte
//	    many N line           the server says a line N times
//	    quiet DURATION        the client must say nothing for so long
//	    wait DURATION, drop, reset, hang (until the client closes)
//	    tls good|resumed|bad|rejected|rejected-good|broken   the server shakes hands
//	    end                   the client must close
//	want ...                  outcomes and "took DURATION" lines, in order of done
func TestDialogues(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no stories", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) { tell(t, string(text)) })
		})
	}
}

// story is a parsed file.
type story struct {
	t        *testing.T
	cfg      delivery.Config
	route    mail.Route
	deps     delivery.Deps
	zone     zone
	messages map[string]*mail.Attempt
	names    []string
	calls    [][]string
	cancel   time.Duration
	scripts  map[netip.Addr][][]string
	want     []string
	pki      *pki
	silent   []netip.Addr // where nothing answers, not even a refusal
	guard    *guard       // nil: none

	mu  sync.Mutex
	got []string // under mu while Deliver runs
}

// zone is a resolver. A host with no addresses does not exist; one with the
// address "?" cannot be looked up.
type zone map[string][]string

var errNotFound = errors.New("no such host")

func (z zone) IsNotFound(err error) bool { return errors.Is(err, errNotFound) }

func (z zone) LookupAddrs(_ context.Context, host string) ([]netip.Addr, error) {
	var all []netip.Addr
	for _, a := range z[host] {
		if a == "?" {
			return nil, errors.New("server failure")
		}
		all = append(all, netip.MustParseAddr(a))
	}
	if len(all) == 0 {
		return nil, errNotFound
	}
	return all, nil
}

func tell(t *testing.T, text string) {
	s := &story{
		t: t, zone: zone{"mx.test": {"192.0.2.1"}}, messages: map[string]*mail.Attempt{}, scripts: map[netip.Addr][][]string{},
		cfg:   delivery.Config{Hostname: "relay.test"},
		route: mail.Route{Kind: mail.ByMX, Lane: "lane", Hosts: []mail.Host{{Name: "mx.test", Port: 25}}},
	}
	s.pki = newPKI(t)
	s.parse(text)
	network := fakenet.New()
	for _, a := range s.silent {
		network.Blackhole(a, true)
	}
	var servers sync.WaitGroup
	defer servers.Wait()
	for addr, scripts := range s.scripts {
		l, err := network.Listen("tcp", netip.AddrPortFrom(addr, 25).String())
		if err != nil {
			t.Fatal(err)
		}
		servers.Go(func() {
			for i, script := range scripts {
				nc, err := l.Accept()
				if err != nil {
					t.Errorf("connection %d to %s was never made", i+1, addr)
					return
				}
				servers.Go(func() { s.serve(nc, fmt.Sprintf("%s #%d", addr, i+1), script) })
			}
			if nc, err := l.Accept(); err == nil {
				t.Errorf("connection to %s that the story does not tell", addr)
				nc.Close()
			}
		})
		defer l.Close()
	}
	s.deps.Resolver, s.deps.Dialer, s.deps.Log = s.zone, network, slog.New(slog.DiscardHandler)
	s.deps.Metrics = metrics.New(prometheus.NewRegistry()).Delivery
	s.deps.Roots = s.pki.roots
	if s.guard != nil {
		s.guard.pki = s.pki
		s.deps.Guard, s.deps.Results = s.guard, s.guard
	}
	c := delivery.New(s.cfg, s.deps)
	ctx, stop := context.WithCancel(t.Context())
	running := make(chan error, 1)
	go func() { running <- c.Run(ctx) }()
	synctest.Wait()
	if len(s.calls) == 0 {
		s.calls = [][]string{s.names}
	}
	for _, names := range s.calls {
		if names[0] == "later" {
			time.Sleep(duration(names[1]))
			continue
		}
		s.deliver(c, names)
	}
	synctest.Wait()
	stop()
	if err := <-running; err != nil {
		t.Error(err)
	}
	if d := cmp.Diff(s.want, s.got); d != "" {
		t.Errorf("outcomes, -want +got:\n%s", d)
	}
}

func (s *story) deliver(c *delivery.Client, names []string) {
	ctx := s.t.Context()
	if s.cancel > 0 {
		c, cancel := context.WithCancel(ctx)
		defer cancel()
		defer time.AfterFunc(s.cancel, cancel).Stop()
		ctx = c
	}
	rest := names[1:]
	next := func() *mail.Attempt {
		if len(rest) == 0 {
			return nil
		}
		a := s.messages[rest[0]]
		rest = rest[1:]
		return a
	}
	seen := map[*mail.Attempt]bool{}
	done := func(a *mail.Attempt, out []mail.Outcome) {
		if seen[a] || len(out) != len(a.To) {
			s.t.Errorf("done again, or with %d outcomes", len(out))
		}
		seen[a] = true
		for i := range out {
			s.add(s.describe(a, i, &out[i]))
		}
	}
	start := time.Now()
	c.Deliver(ctx, s.messages[names[0]], next, done)
	if slices.ContainsFunc(s.want, func(w string) bool { return strings.HasPrefix(w, "took ") }) {
		s.got = append(s.got, "took "+time.Since(start).String())
	}
}

// guarded gives the story's guard, which it then has.
func (s *story) guarded() *guard {
	if s.guard == nil {
		s.guard = &guard{t: s.t, words: map[string]string{}}
	}
	return s.guard
}

func (s *story) add(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, line)
}

// describe prints an outcome: message, recipient, fate, command, reply, then
// what else it has.
func (s *story) describe(a *mail.Attempt, i int, o *mail.Outcome) string {
	name := ""
	for n, m := range s.messages {
		if m == a {
			name = n
		}
	}
	text := fmt.Sprintf("%s <%s> %s %s %s", name, a.Envelope.Recipients[a.To[i]].Address, o.Fate(), o.Command, o.Reply)
	if o.Untried {
		text += " untried"
	}
	if o.DSN {
		text += " dsn"
	}
	if o.RetryAfter > 0 {
		text += " after=" + o.RetryAfter.String()
	}
	if o.TLS.Version != "" {
		text += fmt.Sprintf(" tls=%s/%v", o.TLS.Policy, o.TLS.Verified)
	}
	if o.Host != "" {
		text += " host=" + o.Host
	}
	if strings.Contains(o.Detail, "may arrive twice") {
		text += " twice?"
	}
	return text
}

func (s *story) parse(text string) {
	var script *[]string
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		f := strings.Fields(line)
		if len(f) == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		switch f[0] {
		case "set":
			s.set(f[1], strings.Join(f[2:], " "))
		case "host":
			if s.route.Hosts[0].Pref == 0 && s.route.Hosts[0].Name == "mx.test" {
				s.route.Hosts = nil
				delete(s.zone, "mx.test")
			}
			pref, _ := strconv.Atoi(f[2])
			s.route.Hosts = append(s.route.Hosts, mail.Host{Name: f[1], Port: 25, Pref: uint16(pref)})
			s.zone[f[1]] = f[3:]
		case "demand":
			s.guarded().words[f[1]+" "+f[2]] = f[3]
		case "message":
			s.message(f[1], f[2], f[3:])
		case "body":
			rest := strings.SplitN(line, " ", 3)[2]
			count, quoted, many := strings.Cut(rest, " x ")
			if !many {
				count, quoted = "1", rest
			}
			n1, _ := strconv.Atoi(count)
			b, err := strconv.Unquote(quoted)
			b = strings.Repeat(b, n1)
			if err != nil {
				s.t.Fatalf("line %d: %v", n+1, err)
			}
			setBody(s.messages[f[1]], b)
		case "deliver":
			s.calls = append(s.calls, f[1:])
		case "later":
			s.calls = append(s.calls, f)
		case "cancel":
			s.cancel = duration(f[1])
		case "on":
			a := netip.MustParseAddr(f[1])
			s.scripts[a] = append(s.scripts[a], nil)
			script = &s.scripts[a][len(s.scripts[a])-1]
		case "want":
			s.want = append(s.want, strings.TrimSpace(line[4:]))
		default:
			if script == nil {
				s.t.Fatalf("line %d: %s", n+1, line)
			}
			*script = append(*script, line)
		}
	}
	for _, m := range s.messages {
		m.Route.Kind, m.Route.LMTP, m.Route.TLS, m.Route.Auth, m.Route.Source = s.route.Kind, s.route.LMTP, s.route.TLS, s.route.Auth, s.route.Source
		if m.Route.Hosts == nil {
			m.Route.Hosts = s.route.Hosts
		}
		m.Route.Lane = s.route.Lane
	}
}

func (s *story) set(word, value string) {
	n, _ := strconv.Atoi(value)
	switch word {
	case "results":
		s.guarded().results = s.add
	case "nobdat":
		s.cfg.NoBDAT = true
	case "nopipelining":
		s.cfg.NoPipelining = true
	case "private":
		s.cfg.PrivateDestinations = true
	case "addresses":
		s.cfg.Families = map[string]dial.Families{"ipv4-first": dial.IPv4First, "ipv4-only": dial.IPv4Only, "ipv6-only": dial.IPv6Only}[value]
	case "silent":
		s.silent = append(s.silent, netip.MustParseAddr(value))
	case "own":
		s.cfg.Own = append(s.cfg.Own, netip.MustParseAddr(value))
	case "messages":
		s.cfg.ConnectionMessages = n
	case "batch":
		s.cfg.BatchRecipients = n
	case "lmtp":
		s.route.LMTP, s.route.Kind = true, mail.ByHost
	case "smarthost":
		s.route.Kind = mail.ByHost
	case "tls":
		s.route.TLS = map[string]mail.TLSDemand{"none": mail.TLSNone, "required": mail.TLSRequired, "verified": mail.TLSVerified, "implicit": mail.TLSImplicit}[value]
	case "auth":
		user, password, _ := strings.Cut(value, " ")
		s.route.Auth = &mail.Credentials{User: user, Password: password}
	default:
		s.t.Fatalf("set %s", word)
	}
}

func (s *story) message(name, from string, words []string) {
	e := &mail.Envelope{Sender: address(s.t, from)}
	a := &mail.Attempt{ID: spool.ID{byte(len(s.names) + 1)}, Number: 1, Envelope: e}
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		last := len(e.Recipients) - 1
		switch key {
		case "8bit":
			e.EightBit = true
		case "utf8":
			e.SMTPUTF8 = true
		case "requiretls":
			e.RequireTLS = true
		case "ret":
			e.Ret = map[string]mail.Ret{"full": mail.RetFull, "hdrs": mail.RetHeaders}[value]
		case "envid":
			e.EnvID = value
		case "notify":
			for _, v := range strings.Split(value, ",") {
				e.Recipients[last].Notify |= map[string]mail.Notify{"never": mail.NotifyNever, "success": mail.NotifySuccess, "failure": mail.NotifyFailure, "delay": mail.NotifyDelay}[v]
			}
		case "orcpt":
			e.Recipients[last].ORcpt = value
		case "domain":
			a.Route.Domain, a.Route.STS = smtp.Domain(value), anyPolicy
		case "at":
			a.Route.Hosts = []mail.Host{{Name: value, Port: 25}}
		default:
			e.Recipients = append(e.Recipients, mail.Recipient{Address: address(s.t, w)})
			a.To = append(a.To, len(a.To))
		}
	}
	setBody(a, "hi\r\n")
	s.messages[name] = a
	s.names = append(s.names, name)
}

func address(t *testing.T, s string) smtp.Address {
	a, _, err := smtp.ParsePath(s)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return a
}

func setBody(a *mail.Attempt, text string) {
	a.Envelope.Size = int64(len(text))
	a.Open = func(context.Context) (spool.Body, error) { return &body{strings.NewReader(text)}, nil }
}

type body struct{ *strings.Reader }

func (b *body) Close() error { return nil }
func (b *body) Size() int64  { return b.Reader.Size() }

func duration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		panic(err)
	}
	return d
}

// serve plays one connection's script.
func (s *story) serve(nc net.Conn, name string, script []string) {
	defer func() { _ = nc.Close() }()
	in := bufio.NewReader(nc)
	for n, line := range script {
		fail := func(format string, args ...any) {
			s.t.Errorf("%s, line %d %q: %s", name, n+1, line, fmt.Sprintf(format, args...))
		}
		word, rest, _ := strings.Cut(line, " ")
		var err error
		switch word {
		case "S:":
			_, err = io.WriteString(nc, rest+"\r\n")
		case "raw":
			text, e := strconv.Unquote(rest)
			if e != nil {
				fail("%v", e)
			}
			_, err = io.WriteString(nc, text)
		case "C:", "C:.":
			var got string
			if got, err = in.ReadString('\n'); err == nil && got != rest+"\r\n" {
				fail("the client said %q", got)
				return
			}
		case "many":
			count, text, _ := strings.Cut(rest, " ")
			k, _ := strconv.Atoi(count)
			_, err = io.WriteString(nc, strings.Repeat(text+"\r\n", k))
		case "quiet":
			_ = nc.SetReadDeadline(time.Now().Add(duration(rest)))
			if b, e := in.ReadByte(); e == nil {
				fail("the client said %q", b)
				return
			}
			_ = nc.SetReadDeadline(time.Time{})
		case "wait":
			time.Sleep(duration(rest))
		case "drop":
			return
		case "reset":
			nc.(interface{ Reset() }).Reset()
			return
		case "hang":
			_, _ = io.Copy(io.Discard, in)
			return
		case "tls":
			cfg := &tls.Config{Certificates: []tls.Certificate{s.pki.good}}
			cfg.SetSessionTicketKeys([][32]byte{{1}})
			switch rest {
			case "bad":
				cfg.Certificates[0] = s.pki.bad
			case "resumed":
				defer func() {
					if tc, ok := nc.(*tls.Conn); !ok || !tc.ConnectionState().DidResume {
						fail("the TLS session was not resumed")
					}
				}()
			case "rejected", "rejected-good":
				if rest == "rejected" {
					cfg.Certificates[0] = s.pki.bad
				}
				tc := tls.Server(nc, cfg)
				if tc.Handshake() == nil {
					if _, e := tc.Read(make([]byte, 1)); e == nil {
						fail("the client took the certificate")
					}
				}
				return
			case "broken":
				_, _ = in.ReadByte() // the ClientHello has begun
				_, _ = io.WriteString(nc, "this is no TLS\r\n")
				_, _ = io.Copy(io.Discard, in)
				return
			}
			tc := tls.Server(nc, cfg)
			err = tc.Handshake()
			nc, in = tc, bufio.NewReader(tc)
		case "end":
			if _, e := in.ReadByte(); e == nil {
				fail("the client goes on")
			}
			return
		default:
			fail("unknown word")
		}
		if err != nil {
			fail("%v", err)
			return
		}
	}
	if b, err := in.ReadString('\n'); err == nil {
		s.t.Errorf("%s: behind the script the client said %q", name, b)
	}
}

// pki is a certificate that is right for mx.test, and one that nobody signed.
type pki struct {
	roots     *x509.CertPool
	good, bad tls.Certificate
}
