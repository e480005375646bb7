// Package callout asks the host that keeps a domain's mailboxes whether an
// address is there, while the sender of a message still waits at RCPT: a session
// by LMTP (RFC 2033) or SMTP up to the reply to RCPT, with the null sender, and no
// message. Without it a relay in front of somebody else's mailboxes takes mail for
// everybody and later returns what nobody there wants to people who never sent it.
//
// Answers are remembered. While the host cannot be asked, whom it knew lately is
// still taken, so that mail waits here and not at its sender; for anybody else
// the sender is asked to come again.
package callout

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"tenma/relay/delivery/client"
	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// How long answers are remembered, and what one question may take.
const (
	GoodFor  = 10 * time.Minute   // an address that is there
	BadFor   = time.Minute        // one that is not: somebody may be waiting for it
	StaleFor = 7 * 24 * time.Hour // one that was there, while the host cannot be asked

	// Timeout bounds one question. Senders wait 5 minutes for the reply to RCPT
	// (RFC 5321 section 4.5.3.2.3); a sixteenth of that leaves room for many.
	Timeout = 20 * time.Second

	// A domain whose host kept a question waiting for longer than patience, in
	// vain, is left alone for coolDown: else every RCPT waits as long for the same
	// news, and takes the place of those about other domains.
	patience = time.Second
	coolDown = 10 * time.Second

	workers  = 16
	remember = 20_000 // addresses; some 200 octets each
)

// Target is where a domain's mailboxes are.
type Target struct {
	Hosts []mail.Host // tried in order
	LMTP  bool
	TLS   mail.TLSDemand
	Auth  *mail.Credentials
}

// Deps are what an Asker works with.
type Deps struct {
	// Dial opens connections, from any address of ours if local is zero; nil: by
	// the operating system.
	Dial func(ctx context.Context, local netip.Addr, to netip.AddrPort) (net.Conn, error)
	// Lookup gives the addresses of a host.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	Roots  *x509.CertPool // that vouch for hosts; nil: the system's
	Log    *slog.Logger
}

// Asker asks and remembers. It may be used from any goroutine.
type Asker struct {
	hostname string
	deps     Deps
	slots    chan struct{}

	mu    sync.Mutex
	known map[smtp.Address]answer   // guarded by mu
	mute  map[smtp.Domain]time.Time // guarded by mu: when the host may be asked again
}

type answer struct {
	at    time.Time
	reply smtp.Reply
}

// New makes an Asker that calls itself hostname.
func New(hostname string, deps Deps) *Asker {
	if deps.Dial == nil {
		deps.Dial = func(ctx context.Context, _ netip.Addr, to netip.AddrPort) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", to.String())
		}
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	return &Asker{hostname: hostname, deps: deps, slots: make(chan struct{}, workers), known: map[smtp.Address]answer{}, mute: map[smtp.Domain]time.Time{}}
}

// Ask gives nil if mail for a is taken at t. Its error is or wraps an
// *smtp.Error: the host's own refusal, or 451 4.4.1 if it could not be asked and
// did not know a lately.
func (k *Asker) Ask(ctx context.Context, t Target, a smtp.Address) error {
	now := time.Now()
	k.mu.Lock()
	old, there := k.known[a]
	mute := now.Before(k.mute[a.Domain]) // the domains are those of the configuration
	k.mu.Unlock()
	good := there && old.reply.Code/100 == 2
	if age := now.Sub(old.at); there && (good && age < GoodFor || !good && age < BadFor) {
		return verdict(old.reply)
	}
	stale := good && now.Sub(old.at) < StaleFor
	if mute {
		return silent(stale)
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	select {
	case k.slots <- struct{}{}:
		defer func() { <-k.slots }()
	case <-ctx.Done():
		return silent(stale)
	}
	asked := time.Now()
	reply, err := k.ask(ctx, t, a)
	switch {
	case err != nil:
		k.deps.Log.Warn("the host of a domain's mailboxes could not be asked for an address", "domain", string(a.Domain), "error", err)
		if end := time.Now(); end.Sub(asked) > patience {
			k.mu.Lock()
			k.mute[a.Domain] = end.Add(coolDown)
			k.mu.Unlock()
		}
		return silent(stale)
	case reply.Code/100 != 4: // what may be otherwise soon is not remembered
		k.note(a, answer{time.Now(), reply})
	}
	return verdict(reply)
}

// ErrSilent is wrapped by the error of Ask when the host could not be asked.
var ErrSilent = errors.New("callout: no answer")

// silent is the verdict without an answer. stale says that the address was there
// lately.
func silent(stale bool) error {
	if stale {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrSilent, smtp.Errorf(451, smtp.Status{4, 4, 1}, "The mailbox's own server does not answer, try again later"))
}

func verdict(r smtp.Reply) error {
	if r.Code/100 == 2 {
		return nil
	}
	return &smtp.Error{Reply: r}
}

// note remembers an answer, and drops any other when there are too many: a
// stranger who tries names must not fill the memory.
func (k *Asker) note(a smtp.Address, n answer) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.known) >= remember {
		for other := range k.known {
			delete(k.known, other)
			break
		}
	}
	k.known[a] = n
}

// ask tries the hosts until one can be talked to.
func (k *Asker) ask(ctx context.Context, t Target, a smtp.Address) (r smtp.Reply, err error) {
	if !client.Sendable(a) {
		return smtp.Reply{Code: 550, Status: smtp.Status{5, 1, 3}, Text: "This address cannot be"}, nil
	}
	var failed error
	for _, h := range t.Hosts {
		addrs := []netip.Addr{h.Addr}
		if !h.Addr.IsValid() {
			if addrs, err = k.deps.Lookup(ctx, h.Name); err != nil {
				failed = errors.Join(failed, err)
				continue
			}
		}
		for _, addr := range addrs {
			c, err := k.deps.Dial(ctx, netip.Addr{}, netip.AddrPortFrom(addr, h.Port))
			if err == nil {
				if r, err = k.session(ctx, c, t, h, a); err == nil {
					return r, nil
				}
			}
			failed = errors.Join(failed, fmt.Errorf("%s: %w", h.Name, err))
		}
	}
	return r, failed
}

// session goes as far as the reply to RCPT. An error means that it did not come
// so far.
func (k *Asker) session(ctx context.Context, nc net.Conn, t Target, h mail.Host, a smtp.Address) (r smtp.Reply, err error) {
	c := client.New(nc)
	defer c.Close()
	defer context.AfterFunc(ctx, func() { nc.Close() })()
	if t.TLS == mail.TLSImplicit {
		if err := c.Secure(k.tls(t, h), Timeout); err != nil {
			return r, err
		}
	}
	step := func(what string, got client.Reply, err error) error {
		if err == nil && !got.Positive() {
			err = errors.New(got.Words().String())
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", what, err)
		}
		return err
	}
	got, err := c.Greet(Timeout)
	if err := step("banner", got, err); err != nil {
		return r, err
	}
	got, err = c.Hello(k.hostname, t.LMTP, Timeout)
	if err := step("greeting", got, err); err != nil {
		return r, err
	}
	if t.TLS == mail.TLSRequired || t.TLS == mail.TLSVerified {
		got, err = c.StartTLS(k.tls(t, h), Timeout, Timeout)
		if err := step("STARTTLS", got, err); err != nil {
			return r, err
		}
		got, err = c.Hello(k.hostname, t.LMTP, Timeout)
		if err := step("greeting", got, err); err != nil {
			return r, err
		}
	}
	if t.Auth != nil {
		got, err = c.Auth(t.Auth.User, t.Auth.Password, Timeout)
		if err := step("AUTH", got, err); err != nil {
			return r, err
		}
	}
	c.Mail(smtp.Address{}, client.MailParams{})
	got, err = c.Reply(Timeout)
	if err := step("MAIL", got, err); err != nil {
		return r, err
	}
	c.Rcpt(&mail.Recipient{Address: a})
	got, err = c.Reply(Timeout)
	if err != nil {
		return r, fmt.Errorf("RCPT: %w", err)
	}
	r = got.Words()
	c.Quit(time.Second)
	return r, nil
}

func (k *Asker) tls(t Target, h mail.Host) *tls.Config {
	return &tls.Config{ServerName: h.Name, RootCAs: k.deps.Roots, InsecureSkipVerify: t.TLS == mail.TLSRequired, MinVersion: tls.VersionTLS12}
}
