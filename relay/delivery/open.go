package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"tenma/relay/delivery/client"
	"tenma/relay/delivery/handshake"
	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// opening is the search for a host of one route that takes a session.
//
// Hosts are tried by preference and each host's addresses in turn, five
// connections at most. What a host answers before the first MAIL, 5yz
// included, moves on to the next (RFC 5321 section 5.1 wants that for failed
// connections and 4yz; a 554 banner is about our address, and another host of
// the site may think better of it). When none is left, a temporary trouble
// outweighs the permanent ones: mail fails only if each host surely does not
// exist, may not be dialled, or declares that it never takes mail.
type opening struct {
	client *Client
	cfg    *Config
	ctx    context.Context
	job    *job
	key    *key
	safety mail.Safety // that the host in hand must have
	tries  int         // connections left
	phases mail.Phases
	last   *mail.Outcome // that weighs most so far
}

// open gives a session with one of the hosts, in the slot that the caller has,
// or the outcome of having none.
func (c *Client) open(ctx context.Context, cfg *Config, j *job) (*conn, mail.Outcome) {
	o := &opening{client: c, cfg: cfg, ctx: ctx, job: j, key: &j.key, tries: maxAddresses}
	o.safety.TLS = j.a.Route.TLS
	for _, h := range ordered(j.a.Route.Hosts, c.dice) {
		if o.tries == 0 {
			break
		}
		if session := o.host(h); session != nil {
			return session, mail.Outcome{}
		}
		if ctx.Err() != nil {
			return nil, judge(&place{}, finding{command: cmdConnect, err: errStopped, untried: true})
		}
	}
	if o.last == nil {
		o.note(&place{}, finding{command: cmdDNS, err: ours(550, smtp.Status{5, 4, 4}, "no host takes mail for this domain")})
	}
	o.last.Phases = o.phases
	return nil, *o.last
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
	for _, a := range interleaved(addrs) {
		if o.tries == 0 || o.ctx.Err() != nil {
			return nil
		}
		if !o.allowed(a) {
			own := ours(550, smtp.Status{5, 4, 4}, "address of "+h.Name+" is not that of a public mail host")
			own.Err = fmt.Errorf("%s: %w", a, errForbidden)
			o.note(at, finding{command: cmdDNS, err: own})
			continue
		}
		o.tries--
		plain := o.safety.TLS == mail.TLSNone
		broken := o.safety.TLS == mail.TLSOpportunistic && o.client.noTLS.has(hostKey(h))
		k, fellBack := o.address(h, a, plain || broken, broken)
		if k == nil && fellBack && o.ctx.Err() == nil {
			// Where any protection was welcome but none demanded, broken TLS is
			// as good as none (RFC 7435 section 3); on a new connection, since
			// the old one is in the middle of a handshake.
			o.client.noTLS.add(hostKey(h), brokenFor)
			k, _ = o.address(h, a, true, true)
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

// allowed refuses addresses to which the DNS of a stranger must not lead us.
func (o *opening) allowed(a netip.Addr) bool {
	if o.key.kind != mail.ByMX || o.cfg.PrivateDestinations {
		return true
	}
	for _, own := range o.cfg.Own {
		if own.Unmap() == a {
			return false
		}
	}
	return Public(a)
}

// address opens a session with one address. fellBack says that the TLS
// handshake failed and that plaintext would do.
func (o *opening) address(h mail.Host, a netip.Addr, plain, fellBack bool) (k *conn, broken bool) {
	port := h.Port
	if port == 0 {
		port = 25
	}
	at := place{host: h.Name, peer: netip.AddrPortFrom(a, port), fellBack: fellBack}
	at.tls.Policy = handshake.PolicyName(&o.safety)
	local := o.key.source.IPv4
	if a.Is6() {
		local = o.key.source.IPv6
	}
	start := time.Now()
	dialCtx, cancel := context.WithTimeout(o.ctx, o.cfg.Timeouts.Connect)
	nc, err := o.client.deps.Dialer.Dial(dialCtx, local, at.peer)
	cancel()
	o.phases.Connect += time.Since(start)
	if err != nil {
		o.client.deps.Metrics.Opened.WithLabelValues("failed").Inc()
		o.note(&at, finding{command: cmdConnect, err: dialError{err}})
		return nil, false
	}
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
		return finding{}, true
	}
	demanded := o.safety.TLS != mail.TLSOpportunistic
	if !k.Ext.StartTLS {
		own := ours(451, smtp.Status{4, 7, 4}, k.host+" does not offer TLS, which is demanded")
		o.report(&k.place, mail.FaultNoSTARTTLS)
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
		o.report(&k.place, mail.FaultNoSTARTTLS)
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
