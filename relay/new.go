package relay

import (
	"context"
	cryptorand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

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
	"tenma/relay/config/certificate"
	"tenma/relay/config/certificate/acme"
	"tenma/relay/delivery"
	"tenma/relay/delivery/client/callout"
	"tenma/relay/delivery/dial"
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
	"tenma/spool"
)

// New joins the stages. It opens the spool and the mail log, so a failed New
// must not be followed by another on the same data before the process ends;
// it starts no goroutine and opens no socket.
func New(o Options) (*Relay, error) {
	c := complete(o.Config)
	o.Config = c
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
	if o.Random == nil {
		o.Random = cryptorand.Reader
	}
	o.Random = &turns{reader: o.Random}
	if o.Seed == 0 {
		var b [8]byte
		if _, err := io.ReadFull(o.Random, b[:]); err != nil {
			return nil, fmt.Errorf("random seed: %w", err)
		}
		o.Seed = binary.LittleEndian.Uint64(b[:])
	}
	if err := makeDurable(c.DataDir); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if o.Outbound == nil && o.Dialer == nil {
		o.Outbound = outbound
	}
	r := &Relay{log: o.Log, config: c, outbound: o.Outbound}
	m := metrics.New(o.Registry)
	build := []func(o Options, m *metrics.Set) error{r.newAdvisers, r.newStores, r.newStages, r.newDoors}
	for _, b := range build {
		if err := b(o, m); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// turns lets several stages draw from one random source: that of a test may be
// for one goroutine at a time.
type turns struct {
	mu     sync.Mutex
	reader io.Reader // guarded by mu
}

func (t *turns) Read(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.reader.Read(p)
}

// makeDurable makes a directory that is there after a power failure: what is
// synced in it is no safer than the way to it. Directories further up were most
// likely not made by us, and not all of them can be opened or synced, so only
// the nearest must.
func makeDurable(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	err = syncDir(filepath.Dir(dir))
	for above := filepath.Dir(dir); above != dir; dir, above = above, filepath.Dir(above) {
		_ = syncDir(above)
	}
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// newAdvisers makes what answers questions: DNS, safety, routes, people, keys,
// forms.
func (r *Relay) newAdvisers(o Options, m *metrics.Set) (err error) {
	c := o.Config
	if o.DialDNS != nil {
		c.DNS.Dial = o.DialDNS
	}
	if r.dns, err = dnscache.New(c.DNS, dnscache.Deps{Metrics: m.DNS, Log: o.Log}); err != nil {
		return fmt.Errorf("dns: %w", err)
	}
	r.hosttls = hosttls.New(c.HostTLS, hosttls.Deps{
		Resolver: r.dns, Dialer: o.Dialer, Public: dial.Public, Roots: o.Roots, Metrics: m.HostTLS, Log: o.Log,
		Keeper:  &keep{fs: o.FS, dir: c.DataDir, name: config.PoliciesFile},
		Results: func(result *mail.TLSResult) { r.tlsrpt.Count(result) },
	})
	r.router = route.New(c.Route, r.dns, r.hosttls)
	people := c.Auth
	people.Log, people.Metrics = o.Log, m.Auth
	if r.people, err = auth.Open(people); err != nil {
		return fmt.Errorf("accounts: %w", err)
	}
	if r.rotation, err = rotation.Open(c.Rotation, rotation.Deps{
		Resolver: r.dns, Store: &keep{fs: o.FS, dir: c.Rotation.Dir, name: rotation.StateFile}, Changed: r.otherKeys, Metrics: m.DKIM, Log: o.Log,
	}); err != nil {
		return fmt.Errorf("dkim: %w", err)
	}
	r.tenants = tenant.New(c.Tenants)
	if r.signer, err = dkim.New(r.signing(c), dkim.Deps{Log: o.Log}); err != nil {
		return fmt.Errorf("dkim: %w", err)
	}
	r.verdict = verdict.New(c.Verdict, verdict.Deps{Resolver: r.dns, Percent: percent(o.Seed + 2), Metrics: m.Verdict, Log: o.Log})
	if r.returns, err = returns.New(c.Returns, returns.Deps{Random: o.Random, Metrics: m.Returned}); err != nil {
		return err
	}
	r.milter = milter.New(c.Milter, milter.Deps{Dial: o.DialFilter, Names: clientNames{r.dns}, Metrics: m.Milter, Log: o.Log})
	r.renderer = rendition.New(c.Rendition, rendition.Deps{Signer: r.signer, Metrics: m.Rendition, Log: o.Log})
	return nil
}

// newStores opens what is on disk. The spool comes first: it can be open in one
// process only, so that whoever starts a second one on the same data fails before
// it has touched the mail log of the first. The spool calls the log's Flush before
// a removal becomes durable: promise 5.
func (r *Relay) newStores(o Options, m *metrics.Set) (err error) {
	c := o.Config
	if r.spool, err = o.OpenSpool(c.Spool, func() error { return r.maillog.Flush() }, m.Spool, o.Log); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	events := c.MailLog
	events.Log, events.Metrics, events.FS = o.Log, m.Maillog, o.FS
	if r.maillog, err = maillog.New(events); err != nil {
		return fmt.Errorf("mail log: %w", errors.Join(err, r.spool.Close()))
	}
	r.outbox = &outbox{spool: r.spool, record: r.maillog, random: o.Random}
	boxes := c.Mailbox
	boxes.Log = o.Log
	r.mailbox, err = mailbox.New(boxes, mailbox.Deps{
		Bubble:   o.Bubble,
		Resolver: r.people, FS: o.FS, Metrics: m.Mailbox,
		Outbox:  r.outbox,
		MinFree: minFree(o.FS, boxes.Dir, c.Spool),
	})
	if err != nil {
		return errors.Join(err, r.maillog.Close(), r.spool.Close())
	}
	if r.list, err = table.Open(table.Options{Dir: c.InData(config.SuppressDir), FS: o.FS, Log: o.Log, Bubble: o.Bubble}); err != nil {
		return fmt.Errorf("suppression list: %w", errors.Join(err, r.mailbox.Close(), r.maillog.Close(), r.spool.Close()))
	}
	r.suppress = suppress.New(c.Suppress, suppress.Deps{Store: r.list, Metrics: m.Suppress, Log: o.Log})
	r.announceMaildirs(c)
	metrics.Show(o.Registry, time.Now, views(r.spool, c.Spool))
	return nil
}

// minFree keeps the mail store from filling its disk, by the measure of [spool]:
// mail that waits in the spool can still be sent on, mail that fills the last
// octet stops both. A file system that cannot tell is not asked.
func minFree(disk vfs.FS, dir string, s config.Spool) func() error {
	if disk == nil {
		disk = vfs.Default
	}
	return func() error {
		u, err := disk.GetDiskUsage(dir)
		if err != nil {
			return nil
		}
		least := max(float64(s.MinFreeBytes), s.MinFreePercent/100*float64(u.TotalBytes))
		if float64(u.AvailBytes) < least {
			return fmt.Errorf("%w: %d octets are free where the mailboxes are, less than %.0f", spool.ErrFull, u.AvailBytes, least)
		}
		return nil
	}
}

// announceMaildirs says what to do about the mailboxes of older versions.
func (r *Relay) announceMaildirs(c *config.Config) {
	old := c.InData(config.OldMailDir)
	if entries, err := os.ReadDir(old); err == nil && len(entries) > 0 {
		r.log.Warn("there is mail in Maildirs of an older version, which nobody is shown; bring each into its mailbox, then remove the directory",
			"directory", old, "command", "tenma mailbox import ADDRESS maildir "+filepath.Join(old, "DOMAIN", "NAME"))
	}
}

// newStages makes what moves mail, from the far end to the near.
func (r *Relay) newStages(o Options, m *metrics.Set) error {
	c := o.Config
	r.newReports(o, m)
	r.delivery = delivery.New(c.Delivery, delivery.Deps{
		Resolver: resolver{r.dns}, Dialer: o.Dialer, Guard: r.hosttls, Results: results{r.hosttls, r.tlsrpt}, Roots: o.Roots, Renderer: r.renderer, Metrics: m.Delivery,
		Log: o.Log, Seed: o.Seed,
	})
	notices := c.Bounce
	notices.Hostname, notices.Postmaster = c.Hostname, postmaster(c)
	r.composer = bounce.New(notices, bounce.Deps{Stager: r.spool, Metrics: m.Bounce, Log: o.Log})
	r.replies.metrics = m.Bounce
	if err := r.replies.apply(c.Classify); err != nil {
		return fmt.Errorf("bounce rules: %w", err)
	}
	r.desk = returned.New(deskConfig(c), returned.Deps{
		Reader: r.replies.reader, Tracer: r.returns, Suppressor: suppressor{r.suppress}, Outbox: r.outbox, Record: r.maillog, Metrics: m.Returned, Log: o.Log,
	})
	local := &ending{adviser: r.returns, desk: r.desk, mailboxes: r.mailbox.Deliver}
	r.queue = queue.New(c.Queue, queue.Deps{
		Spool: r.spool, Router: r.router, Remote: r.suppress.Guarding(r.delivery.Deliver), Local: r.suppress.Guarding(local.deliver), Signer: r.signer,
		Returner: &returner{r.composer, r.returns}, Classify: &r.replies, Record: r.suppress.Listen(r.maillog), Metrics: m.Queue, Log: o.Log, Seed: o.Seed + 1,
	})
	r.intake = intake.New(c.Intake, intake.Deps{
		Spool: r.spool, Record: r.maillog, Senders: r.people, Tenants: r.tenants,
		PerRecipient: []intake.PerRecipient{&verp{r.returns, r.tenants}, r.leaving()}, Fields: feedbackID(r.tenants), Metrics: m.Intake, Log: o.Log, Random: o.Random,
		Unwanted:   unwanted(r.verdict.Forged),
		Inspectors: []intake.Inspector{judge{r.verdict, r.returns}, filters{r.milter}},
	})
	return nil
}

// newDoors makes what listens.
func (r *Relay) newDoors(o Options, m *metrics.Set) error {
	c := o.Config
	if o.TLS == nil && usesTLS(c) {
		pair, err := certificate.Open(c.TLS, c.Hostname, o.Log)
		if err != nil {
			return fmt.Errorf("certificate: %w", err)
		}
		r.acme = acme.New(c.ACME, c.Hostname, pair, o.Log)
		o.TLS = r.acme.Server()
		metrics.Show(o.Registry, time.Now, metrics.Views{NotAfter: r.acme.NotAfter})
	}
	ask := callout.Deps{Lookup: resolver{r.dns}.LookupAddrs, Roots: o.Roots, Log: o.Log}
	if o.Dialer != nil {
		ask.Dial = o.Dialer.Dial
	}
	r.recipients = &recipients{people: r.people, returns: r.returns, boxes: r.mailbox, asker: callout.New(c.Hostname, ask)}
	r.recipients.apply(c)
	r.ingress = ingress.New(c.Ingress, ingress.Deps{
		Intake: r.intake, Directory: r.recipients, Suppressions: r.suppress, Auth: r.people.Service("smtp"), Tenants: r.tenants, Record: r.maillog, TLS: o.TLS,
		Metrics: m.Ingress, Log: o.Log, Listen: o.Listen,
	})
	r.imap = imap.New(c.IMAP, imap.Deps{
		Mailboxes: r.mailbox, Auth: r.people.Service("imap"), TLS: o.TLS, Metrics: m.IMAP, Log: o.Log, Listen: o.Listen,
	})
	r.pop3 = pop3.New(c.POP3, pop3.Deps{
		Mailboxes: r.mailbox, Auth: r.people.Service("pop3"), Expire: r.expire, TLS: o.TLS, Metrics: m.POP3, Log: o.Log, Listen: o.Listen,
	})
	r.setup = setup.New(c.Setup)
	links := r.leaving()
	r.links = unsubscribe.New(c.Unsubscribe, unsubscribe.Deps{Links: links, Wishes: links, Metrics: m.OneClick, Log: o.Log})
	r.admin = admin.New(c.Admin, admin.Deps{
		Queue: r.queue, Mailboxes: usage{r.mailbox}, Suppressions: r.suppress, Explain: r.Explain, Health: r.Health, Ready: r.Ready, Setup: r.setup, Unsubscribe: r.links, Gatherer: o.Registry, TLS: o.TLS, Version: o.Version,
		Log: o.Log, Listen: o.Listen,
	})
	return nil
}

func usesTLS(c *config.Config) bool {
	return len(c.IMAP.Listeners)+len(c.POP3.Listeners) > 0 ||
		slices.ContainsFunc(c.Ingress.Listeners, func(l ingress.Listener) bool { return l.TLS != ingress.TLSOff }) ||
		slices.ContainsFunc(c.Admin.Listeners, func(l admin.Listener) bool { return l.TLS })
}

// resolver gives delivery the addresses of hosts without the types of dnscache.
type resolver struct{ dns *dnscache.Cache }

func (r resolver) LookupAddrs(ctx context.Context, host string) ([]netip.Addr, error) {
	a, err := r.dns.LookupAddrs(ctx, host)
	return a.Records, err
}

func (r resolver) IsNotFound(err error) bool {
	return errors.Is(err, dnscache.ErrNotFound) || errors.Is(err, dnscache.ErrNoData)
}
