package relay

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"tenma/dnscache"
	"tenma/metrics"
	"tenma/relay/admin"
	"tenma/relay/admin/setup"
	"tenma/relay/admin/unsubscribe"
	"tenma/relay/bounce"
	"tenma/relay/bounce/returned"
	"tenma/relay/config"
	"tenma/relay/config/certificate/acme"
	"tenma/relay/delivery"
	"tenma/relay/ingress"
	"tenma/relay/intake"
	"tenma/relay/mail"
	"tenma/relay/mailbox"
	"tenma/relay/mailbox/imap"
	"tenma/relay/mailbox/pop3"
	"tenma/relay/maillog"
	"tenma/relay/policy/auth"
	"tenma/relay/policy/dkim"
	"tenma/relay/policy/dkim/rotation"
	"tenma/relay/policy/hosttls"
	"tenma/relay/policy/milter"
	"tenma/relay/policy/rendition"
	"tenma/relay/policy/returns"
	"tenma/relay/policy/route"
	"tenma/relay/policy/suppress"
	"tenma/relay/policy/suppress/table"
	"tenma/relay/policy/tenant"
	"tenma/relay/policy/verdict"
	"tenma/relay/queue"
	"tenma/relay/tlsrpt"
	"tenma/spool"
)

// Engine is a spool engine with an end: Close comes after Run has returned.
type Engine interface {
	spool.Engine
	Close() error
}

// Options say what a Relay is made of. Config and OpenSpool are needed; the
// rest is the world outside, which tests replace.
type Options struct {
	Config *config.Config
	// OpenSpool opens the engine. beforeSettle is to be called before
	// settlements become durable (promise 5).
	OpenSpool func(c config.Spool, beforeSettle func() error, m *metrics.Spool, log *slog.Logger) (Engine, error)
	TLS       *tls.Config // of the listeners; nil: the configured certificate
	Log       *slog.Logger
	Version   string

	FS       vfs.FS                                                               // of mail log and mailboxes; nil: the machine's
	Registry *prometheus.Registry                                                 // nil: a new one
	Listen   func(network, address string) (net.Listener, error)                  // nil: net.Listen
	Dialer   delivery.Dialer                                                      // nil: the system's
	DialDNS  func(ctx context.Context, network, address string) (net.Conn, error) // nil: the system's
	Roots    *x509.CertPool                                                       // that vouch for next hops; nil: the system's
	// DialFilter reaches mail filters; nil: net.Dialer's DialContext.
	DialFilter func(ctx context.Context, network, address string) (net.Conn, error)
	Random     io.Reader // of ids; nil: crypto/rand
	Seed       uint64    // of jitter and order; 0: from Random
	// Outbound gives the public addresses that mail of a source goes out from; nil:
	// what the system tells, and with a Dialer nothing.
	Outbound func(mail.Source) []netip.Addr
	Bubble   bool // for tests: databases run without tickers, as a testing/synctest bubble needs
}

// Relay is the whole, joined. Make one with New, call Listen and then Run once.
type Relay struct {
	log *slog.Logger

	dns        *dnscache.Cache
	hosttls    *hosttls.Adviser
	router     *route.Adviser
	people     *auth.Directory
	recipients *recipients
	rotation   *rotation.Keeper
	tenants    *tenant.Adviser
	signer     *dkim.Signer
	verdict    *verdict.Adviser
	replies    replies
	renderer   *rendition.Adviser
	returns    *returns.Adviser
	desk       *returned.Desk
	outbox     *outbox
	milter     *milter.Adviser
	maillog    *maillog.Log
	spool      Engine
	mailbox    *mailbox.Store
	list       *table.Table
	suppress   *suppress.List
	delivery   *delivery.Client
	composer   *bounce.Composer
	queue      *queue.Queue
	tlsrpt     *tlsrpt.Stage
	intake     *intake.Server
	ingress    *ingress.Server
	imap       *imap.Server
	pop3       *pop3.Server
	setup      *setup.Handler
	links      *unsubscribe.Handler
	admin      *admin.Server
	acme       *acme.Keeper                   // nil: no listener shows a certificate of ours
	outbound   func(mail.Source) []netip.Addr // public addresses that mail goes out from; nil: not to be known

	mu     sync.Mutex
	ready  bool           // guarded by mu: between start and stop
	config *config.Config // guarded by mu: in force
}

// Queue gives the operator's view of the queue.
func (r *Relay) Queue() *queue.Queue { return r.queue }

// Mailboxes gives the store of local mail.
func (r *Relay) Mailboxes() *mailbox.Store { return r.mailbox }

// Suppressions gives the suppression list.
func (r *Relay) Suppressions() *suppress.List { return r.suppress }

// FlushLog returns when every event so far is in the mail log.
func (r *Relay) FlushLog() error { return r.maillog.Flush() }

// Listen opens the listeners, so that a port in use is an error before
// anything runs.
func (r *Relay) Listen() error {
	for _, listen := range []func() error{r.ingress.Listen, r.imap.Listen, r.pop3.Listen, r.admin.Listen} {
		if err := listen(); err != nil {
			return err
		}
	}
	return nil
}

// Addrs are addresses that listen, by protocol, in the order of the
// configuration.
type Addrs struct{ SMTP, IMAP, POP3, HTTP []net.Addr }

// Addrs are the addresses that Listen opened.
func (r *Relay) Addrs() Addrs {
	return Addrs{SMTP: r.ingress.Addrs(), IMAP: r.imap.Addrs(), POP3: r.pop3.Addrs(), HTTP: r.admin.Addrs()}
}

// part is something with a Run.
type part struct {
	name string
	run  func(context.Context) error
}

// Run works until ctx is cancelled, or until a part fails; that is its error.
// Parts start with the consumers and stop in the order in which mail moves, so
// that nobody hands anything to one that has stopped: what ingress has accepted
// is in the spool, what delivery has sent is settled. People's mail programs are
// sent away after the mail servers of others, and before the queue: what they
// change is in the mail store at once, so that they wait for nobody, and nobody
// waits for them. The queue delivers into the store and the store sends through
// intake into the queue, so neither can stop first without the other's leave:
// the store's Run, which does only what can wait, ends after the queue's, and
// the store itself is closed when everything else has stopped.
func (r *Relay) Run(ctx context.Context) error {
	r.mu.Lock()
	c := r.config
	r.mu.Unlock()
	byMail := []part{ // the order in which they stop
		{"ingress", r.ingress.Run},
		{"pop3", onlyWith(c.POP3.Listeners, r.pop3.Run)},
		{"imap", onlyWith(c.IMAP.Listeners, r.imap.Run)},
		{"queue", r.queue.Run},
		{"delivery", r.delivery.Run},
		{"mailbox", r.mailbox.Run},
		{"tlsrpt", r.tlsrpt.Run},
		{"sources", r.checkSources},
		{"dkim", r.rotation.Run},
		{"hosttls", r.hosttls.Run},
		{"dns", r.dns.Run},
		{"admin", r.admin.Run},
		{"certificates", r.runCertificates},
		{"suppressions", r.suppress.Run},
		{"spool", r.spool.Run},
		{"mail log", r.maillog.Run},
	}
	failed := make(chan error, len(byMail))
	stop := make([]func(), len(byMail))
	for i := len(byMail) - 1; i >= 0; i-- {
		p := byMail[i]
		own, cancel := context.WithCancel(context.WithoutCancel(ctx))
		ended := make(chan struct{})
		stop[i] = func() { cancel(); <-ended }
		go func() {
			defer close(ended)
			if err := p.run(own); err != nil {
				failed <- fmt.Errorf("%s: %w", p.name, err)
			} else if own.Err() == nil {
				failed <- fmt.Errorf("%s ended by itself", p.name)
			}
		}()
	}
	r.setReady(true)
	var errs []error
	select {
	case <-ctx.Done():
		r.log.Debug("draining", "reason", context.Cause(ctx))
	case err := <-failed:
		r.log.Error("a part of the relay failed; stopping", "error", err)
		errs = append(errs, err)
	}
	r.setReady(false)
	for i, p := range byMail {
		stop[i]()
		r.log.Debug("stopped", "part", p.name)
	}
	close(failed)
	for err := range failed {
		errs = append(errs, err)
	}
	return errors.Join(append(errs, r.close())...)
}

// onlyWith is run, if there is a listener to run; otherwise it waits for its end.
func onlyWith[L any](listeners []L, run func(context.Context) error) func(context.Context) error {
	if len(listeners) > 0 {
		return run
	}
	return func(ctx context.Context) error { <-ctx.Done(); return nil }
}

// runCertificates obtains and renews certificates where listeners show any.
func (r *Relay) runCertificates(ctx context.Context) error {
	if r.acme == nil {
		<-ctx.Done()
		return nil
	}
	return r.acme.Run(ctx)
}

// close ends what has no Run of its own to end it.
func (r *Relay) close() error {
	r.milter.Close()
	// A sick store is left as it is: closing would write (spool/doc.go).
	var errs []error
	for _, store := range []interface {
		Health() error
		Close() error
	}{r.spool, r.mailbox, r.list} {
		if !errors.Is(store.Health(), spool.ErrSick) {
			errs = append(errs, store.Close())
		}
	}
	return errors.Join(append(errs, r.maillog.Close())...)
}

func (r *Relay) setReady(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ready = on
}

// Health is nil while the relay can keep its promises: storage works. A full
// disk is no illness.
func (r *Relay) Health() error {
	for _, store := range []interface{ Health() error }{r.spool, r.mailbox, r.list} {
		if err := store.Health(); err != nil && !errors.Is(err, spool.ErrFull) {
			return err
		}
	}
	return nil
}

// Ready is nil while mail is taken.
func (r *Relay) Ready() error {
	r.mu.Lock()
	ready := r.ready
	r.mu.Unlock()
	if !ready {
		return errors.New("no mail is taken: the relay is starting or stopping")
	}
	return r.spool.Health()
}

// Reload puts a new configuration in force. What can fail comes first, so that
// an error leaves the former in force as a whole but for accounts and keys that
// had been taken. What only a restart can change (data directory, spool, the
// listeners themselves) keeps its value, which is logged.
func (r *Relay) Reload(c *config.Config) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	c = complete(c)
	c.DNS.Dial = r.config.DNS.Dial
	for _, p := range []struct {
		name  string
		apply func() error
	}{
		{"dkim", func() error { r.rotation.Apply(c.Rotation); return r.signer.Apply(r.signing(c)) }},
		{"accounts", func() error { return r.people.Apply(c.Auth) }},
		{"admin", func() error { return r.admin.Apply(c.Admin) }},
		{"dns", func() error { return r.dns.Apply(c.DNS) }},
		{"bounce rules", func() error { return r.replies.apply(c.Classify) }},
		{"returns", func() error { return r.returns.Apply(c.Returns) }},
	} {
		if err := p.apply(); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	warnUnchanged(r.log, r.config, c)
	r.hosttls.Apply(c.HostTLS)
	r.router.Apply(c.Route)
	r.tenants.Apply(c.Tenants)
	r.renderer.Apply(c.Rendition)
	r.verdict.Apply(c.Verdict)
	r.milter.Apply(c.Milter)
	if r.acme != nil {
		r.acme.Apply(c.ACME)
	}
	r.composer.Apply(c.Bounce)
	r.suppress.Apply(c.Suppress)
	r.desk.Apply(deskConfig(c))
	r.delivery.Apply(c.Delivery)
	r.tlsrpt.Apply(c.TLSRPT)
	r.queue.Apply(c.Queue)
	r.intake.Apply(c.Intake)
	r.recipients.apply(c)
	r.ingress.Apply(c.Ingress)
	r.mailbox.Apply(c.Mailbox)
	r.imap.Apply(c.IMAP)
	r.pop3.Apply(c.POP3)
	r.setup.Apply(c.Setup)
	r.links.Apply(c.Unsubscribe)
	r.config = c
	return nil
}
