package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"tenma/relay/delivery/client"
	"tenma/relay/delivery/dial"
	"tenma/relay/delivery/handshake"
	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
	"tenma/relay/wire/tlsrpt"
)

// opening is the search for a host of one route that takes a session.
//
// Hosts are tried by preference and each host's addresses in turn, five
// connections at most. What a host answers before the first MAIL, 5yz
// included, moves on to the next (RFC 5321 section 5.1 wants that for failed
// connections and 4yz; a 554 banner is about our address, and another host of
// the site may think better of it). Where one of the hosts is ourselves, it and
// those that are not before it are left out. When none is left, a temporary
// trouble outweighs the permanent ones: mail fails only if each host surely does
// not exist, may not be dialled, is ourselves, or declares that it never takes
// mail.
type opening struct {
	client *Client
	cfg    *Config
	ctx    context.Context
	job    *job
	key    *key
	safety mail.Safety // that the host in hand must have
	phases mail.Phases
	last   *mail.Outcome // that weighs most so far
	broken bool          // TLS with the host in hand failed within brokenFor, and is not tried
}

// open gives a session with one of the hosts that the job has left, in the slot
// that the caller has, or the outcome of having none.
func (c *Client) open(ctx context.Context, cfg *Config, j *job) (*conn, mail.Outcome) {
	o := &opening{client: c, cfg: cfg, ctx: ctx, job: j, key: &j.key}
	o.safety.TLS = j.a.Route.TLS
	for hosts := dial.Ordered(j.hosts(), c.dice); len(hosts) > 0 && j.tries > 0; hosts = hosts[dial.Level(hosts):] {
		level := hosts[:dial.Level(hosts)]
		if o.ourselves(level) {
			break
		}
		for _, h := range level {
			if session := o.host(h); session != nil {
				j.missed = o.last
				return session, mail.Outcome{}
			}
			j.avoid = append(j.avoid, h)
			if ctx.Err() != nil {
				return nil, judge(&place{}, finding{command: cmdConnect, err: errStopped, untried: true})
			}
		}
	}
	if o.last == nil {
		o.note(&place{}, finding{command: cmdDNS, err: ours(550, smtp.Status{5, 4, 4}, "no host takes mail for this domain")})
	}
	o.last.Phases = o.phases
	return nil, *o.last
}

// ourselves reports an address of our own among the mail exchangers of one
// preference. All of them are then left out, and those behind them too: they are
// as far from the mailbox as we are, or farther, and would send the mail back
// (RFC 5321 section 5.1). Names of ours the route has left out already.
func (o *opening) ourselves(level []mail.Host) bool {
	if o.key.kind != mail.ByMX || len(o.cfg.Own) == 0 {
		return false
	}
	for _, h := range level {
		addrs, _ := o.addresses(h) // an error is told when the host has its turn
		for _, a := range addrs {
			if a = a.Unmap(); slices.Contains(o.cfg.Own, a) {
				own := ours(554, smtp.Status{5, 4, 6}, "mail for this domain loops back to myself")
				own.Err = fmt.Errorf("%s has our own address %s", h.Name, a)
				o.note(&place{host: h.Name}, finding{command: cmdDNS, err: own})
				return true
			}
		}
	}
	return false
}

// note keeps the finding if it weighs more than, or as much as, what was found
// before.
func (o *opening) note(at *place, f finding) {
	out := judge(at, f)
	out.TLS.Policy = handshake.PolicyName(&o.safety)
	if o.last == nil || !out.Reply.Permanent() || o.last.Reply.Permanent() {
		o.last = &out
	}
}

// host tries the addresses of one host.
func (o *opening) host(h mail.Host) *conn {
	at := &place{host: h.Name}
	if err := o.demand(&h); err != nil {
		o.note(at, finding{command: cmdStartTLS, err: err})
		return nil
	}
	addrs, err := o.addresses(h)
	if err != nil {
		o.note(at, finding{command: cmdDNS, err: err})
		return nil
	}
	addrs = o.allowed(at, dial.Sorted(addrs, o.cfg.Families, &o.key.source))
	for len(addrs) > 0 && o.job.tries > 0 && o.ctx.Err() == nil {
		var nc net.Conn
		var to netip.Addr
		if nc, to, addrs = o.dial(h, addrs, o.job.tries); nc == nil {
			continue
		}
		plain := o.safety.TLS == mail.TLSNone
		o.broken = o.safety.TLS == mail.TLSOpportunistic && o.client.noTLS.has(hostKey(h))
		k, fellBack := o.greet(h, nc, to, plain || o.broken, o.broken)
		if k == nil && fellBack && o.ctx.Err() == nil {
			// Where any protection was welcome but none demanded, broken TLS is
			// as good as none (RFC 7435 section 3); on a new connection, since
			// the old one is in the middle of a handshake.
			o.client.noTLS.add(hostKey(h), brokenFor)
			if nc, _, _ := o.dial(h, []netip.Addr{to}, 1); nc != nil {
				k, _ = o.greet(h, nc, to, true, true)
			}
		}
		if k != nil {
			return k
		}
	}
	return nil
}

// addresses looks a host up, unless it is an address already.
func (o *opening) addresses(h mail.Host) ([]netip.Addr, error) {
	if h.Addr.IsValid() {
		return []netip.Addr{h.Addr}, nil
	}
	if a, err := netip.ParseAddr(strings.Trim(h.Name, "[]")); err == nil {
		return []netip.Addr{a}, nil
	}
	start := time.Now()
	addrs, err := o.client.deps.Resolver.LookupAddrs(o.ctx, h.Name)
	o.phases.DNS += time.Since(start)
	if err != nil && !o.client.deps.Resolver.IsNotFound(err) {
		return nil, err
	}
	if len(addrs) == 0 {
		own := ours(550, smtp.Status{5, 4, 4}, "host "+h.Name+" does not exist")
		own.Err = err
		return nil, own
	}
	return addrs, nil
}

// allowed leaves out addresses to which the DNS of a stranger must not lead us,
// and tells of them, or of there being none that can be used.
func (o *opening) allowed(at *place, addrs []netip.Addr) []netip.Addr {
	if len(addrs) == 0 {
		own := ours(451, smtp.Status{4, 4, 4}, "host "+at.host+" has no address that can be reached from here")
		own.Err = errFamily
		o.note(at, finding{command: cmdDNS, err: own})
	}
	if o.key.kind != mail.ByMX || o.cfg.PrivateDestinations {
		return addrs
	}
	return slices.DeleteFunc(addrs, func(a netip.Addr) bool {
		if dial.Public(a) {
			return false
		}
		own := ours(550, smtp.Status{5, 4, 4}, "address of "+at.host+" is not that of a public mail host")
		own.Err = fmt.Errorf("%s: %w", a, errForbidden)
		o.note(at, finding{command: cmdDNS, err: own})
		return true
	})
}

// Errors of addresses that are not dialled.
var (
	errForbidden = errors.New("the address is private")
	errFamily    = errors.New("delivery.addresses, or the source, leaves its family out")
)

// dial opens a connection to one of the addresses of a host, within most tries,
// and gives those that are left.
func (o *opening) dial(h mail.Host, addrs []netip.Addr, most int) (nc net.Conn, to netip.Addr, rest []netip.Addr) {
	start := time.Now()
	r := dial.First(o.ctx, addrs, most, func(ctx context.Context, a netip.Addr) (net.Conn, error) {
		local := o.key.source.IPv4
		if a.Is6() {
			local = o.key.source.IPv6
		}
		ctx, cancel := context.WithTimeout(ctx, o.cfg.Timeouts.Connect)
		defer cancel()
		return o.client.deps.Dialer.Dial(ctx, local, netip.AddrPortFrom(a, portOf(h)))
	})
	o.phases.Connect += time.Since(start)
	o.job.tries = max(o.job.tries-r.Tried, 0)
	for _, f := range r.Failed {
		o.client.deps.Metrics.Opened.WithLabelValues("failed").Inc()
		at := &place{host: h.Name, peer: netip.AddrPortFrom(f.Addr, portOf(h))}
		o.note(at, finding{command: cmdConnect, err: dialError{f.Err}})
	}
	return r.Conn, r.Addr, r.Rest
}

func portOf(h mail.Host) uint16 {
	if h.Port == 0 {
		return 25
	}
	return h.Port
}

// greet opens a session on a connection. broken says that the TLS handshake
// failed and that plaintext would do.
func (o *opening) greet(h mail.Host, nc net.Conn, a netip.Addr, plain, fellBack bool) (k *conn, broken bool) {
	at := place{host: h.Name, peer: netip.AddrPortFrom(a, portOf(h)), fellBack: fellBack}
	at.tls.Policy = handshake.PolicyName(&o.safety)
	if local, ok := nc.LocalAddr().(*net.TCPAddr); ok {
		at.local = local.AddrPort().Addr().Unmap()
	}
	k = &conn{Conn: client.New(nc), place: at, key: *o.key, target: h, safety: o.safety, name: hostKey(h)}
	k.Buffers = &o.client.buffers
	k.Block = o.cfg.Timeouts.Block
	k.Abort = o.ctx.Err
	stop := context.AfterFunc(o.ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	f, ok := o.session(k, plain)
	if !stop() || o.ctx.Err() != nil {
		k.Close()
		return nil, false
	}
	k.Abort = nil
	if fellBack {
		o.client.deps.Metrics.Plaintext.Inc()
	}
	if ok {
		o.client.deps.Metrics.Opened.WithLabelValues("ok").Inc()
		k.phases = o.phases
		k.dsn = k.Ext.DSN
		return k, false
	}
	o.client.deps.Metrics.Opened.WithLabelValues("failed").Inc()
	o.note(&k.place, f)
	if f.err == nil {
		k.Quit(o.cfg.Timeouts.Quit) // it spoke: be polite
	} else {
		k.Close()
	}
	return nil, o.safety.TLS == mail.TLSOpportunistic && !plain && f.err != nil && f.command == cmdStartTLS && !errors.Is(f.err, client.ErrInjected)
}

// session greets, secures and logs in. If it fails, the finding says how.
func (o *opening) session(k *conn, plain bool) (finding, bool) {
	t := &o.cfg.Timeouts
	if o.safety.TLS == mail.TLSImplicit {
		err := o.secure(k, func() error { return k.Secure(o.tlsConfig(k), t.StartTLS) })
		o.report(&k.place, cmp.Or(err, k.shake.Doubt))
		if err != nil {
			return finding{command: cmdStartTLS, err: err}, false
		}
	}
	start := time.Now()
	r, err := k.Greet(t.Banner)
	if err != nil || r.Code != 220 {
		return refused(cmdConnect, r, err)
	}
	name := greeting(&o.key.source, o.cfg, k.local)
	if r, err = k.Hello(name, o.key.lmtp, t.EHLO); err != nil || !r.Positive() {
		return refused(cmdEHLO, r, err)
	}
	o.phases.Connect += time.Since(start)
	if f, ok := o.startTLS(k, plain, name); !ok {
		return f, false
	}
	if o.key.auth != (mail.Credentials{}) {
		return o.auth(k)
	}
	return finding{}, true
}

// startTLS meets the demand, and reports what came of it.
func (o *opening) startTLS(k *conn, plain bool, name string) (finding, bool) {
	if plain || o.safety.TLS == mail.TLSImplicit {
		if o.broken && k.Ext.StartTLS {
			o.report(&k.place, tlsrpt.FaultRemembered)
		} else if o.broken {
			o.report(&k.place, tlsrpt.FaultNoSTARTTLS)
		}
		return finding{}, true
	}
	demanded := o.safety.TLS != mail.TLSOpportunistic
	if !k.Ext.StartTLS {
		own := ours(451, smtp.Status{4, 7, 4}, k.host+" does not offer TLS, which is demanded")
		o.report(&k.place, tlsrpt.FaultNoSTARTTLS)
		if demanded {
			return finding{command: cmdStartTLS, err: own}, false
		}
		return finding{}, true
	}
	var r client.Reply
	err := o.secure(k, func() (err error) {
		r, err = k.StartTLS(o.tlsConfig(k), o.cfg.Timeouts.StartTLS, o.cfg.Timeouts.StartTLS)
		return err
	})
	if err == nil && !r.Positive() {
		o.report(&k.place, tlsrpt.FaultNoSTARTTLS)
	} else {
		o.report(&k.place, cmp.Or(err, k.shake.Doubt))
	}
	switch {
	case err != nil:
		return finding{command: cmdStartTLS, err: err}, false
	case !r.Positive() && (demanded || r.Code == 421):
		return refused(cmdStartTLS, r, nil)
	case !r.Positive():
		return finding{}, true // it changed its mind: plaintext goes on (RFC 3207 section 4)
	}
	if r, err = k.Hello(name, o.key.lmtp, o.cfg.Timeouts.EHLO); err != nil || !r.Positive() {
		return refused(cmdEHLO, r, err)
	}
	return finding{}, true
}

// auth logs in, over a connection that may carry a password.
func (o *opening) auth(k *conn) (finding, bool) {
	if !k.tls.Verified && !k.peer.Addr().IsLoopback() {
		return finding{command: cmdAuth, err: ours(451, smtp.Status{4, 7, 0}, "the connection to "+k.host+" is not safe enough to log in")}, false
	}
	r, err := k.Auth(o.key.auth.User, o.key.auth.Password, o.cfg.Timeouts.EHLO)
	if errors.Is(err, client.ErrNoMechanism) {
		own := ours(451, smtp.Status{4, 7, 0}, k.host+" offers no way to log in")
		own.Err = err
		return finding{command: cmdAuth, err: own}, false
	}
	if err != nil || r.Code != 235 {
		return refused(cmdAuth, r, err)
	}
	return finding{}, true
}

func refused(command string, r client.Reply, err error) (finding, bool) {
	if err != nil {
		return finding{command: command, err: err}, false
	}
	return finding{command: command, reply: r.Words()}, false
}
