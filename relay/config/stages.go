package config

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"math"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"

	"tenma/relay/config/document"
	"tenma/relay/config/document/units"
	"tenma/relay/config/milters"
	"tenma/relay/config/suppression"
	"tenma/relay/delivery"
	"tenma/relay/delivery/dial"
	"tenma/relay/ingress"
	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

const (
	year = 365 * 24 * time.Hour
	tera = 1 << 40
)

// config reads the whole document. Order matters only for what later sections
// need of earlier ones.
func (r *reader) config(root *document.Table) *Config {
	c := &Config{}
	s := r.Section("", root)
	r.identity(s, c)
	r.tls(s.Sub("tls"), c)
	r.spool(s.Sub("spool"), c)
	r.dns(s.Sub("dns"), c)
	r.delivery(s.Sub("delivery"), c)
	r.log(s.Sub("log"), c)
	r.bounce(s.Sub("bounce"), c)
	c.Suppress = suppression.Read(s.Sub("suppression"))
	r.verdicts(s.Sub("verdicts"), c)
	r.listeners(s, c)
	r.domains(s, c)
	r.routes(s, c)
	r.behind(c)
	r.mailbox(s.Sub("mailbox"), c)
	r.submission(s.Sub("submission"), c)
	r.accounts(s.Sub("auth"), c)
	r.setup(s.Sub("setup"), c)
	r.returns(s.Sub("returns"), c)
	r.dkim(s, c)
	r.tenants(s, c)
	r.tlsrpt(s.Sub("tlsrpt"), c)
	r.acme(s.Sub("acme"), c)
	c.Milter = milters.Read(s, c.Hostname, c.Ingress.Listeners)
	s.Close()
	r.useful(c)
	r.derive(c)
	return c
}

func (r *reader) identity(s *section, c *Config) {
	c.Hostname = r.systemHostname()
	var name string
	v := s.String("hostname", &name)
	if v != nil {
		d, err := smtp.ParseDomain(name)
		switch {
		case err != nil:
			s.Errorf(v.At, "hostname: %q is not a host name", document.Clip(name))
		case d.IsLiteral():
			s.Errorf(v.At, "hostname must be a name, not an address; others look it up")
		default:
			c.Hostname = string(d)
			if !strings.Contains(c.Hostname, ".") {
				s.Warnf(v.At, "hostname %q has no domain; receivers refuse mail from names that they cannot look up", c.Hostname)
			}
		}
	} else if r.File != "" && !strings.Contains(c.Hostname, ".") {
		s.Warnf(place{}, "hostname is not set and the system's, %q, has no domain; receivers refuse mail from names that they cannot look up", c.Hostname)
	}
	dir := "tenma-data"
	if v := s.String("data_dir", &dir); v != nil && dir == "" {
		s.Errorf(v.At, "data_dir is empty")
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(r.dir, dir)
	}
	c.DataDir = filepath.Clean(dir)
	r.dataDir = c.DataDir
}

func (r *reader) tls(s *section, c *Config) {
	var cert, key string
	certAt, keyAt := s.String("certificate", &cert), s.String("key", &key)
	c.TLS.Minimum = tls.VersionTLS12
	minimum := s.Version("minimum", &c.TLS.Minimum)
	if minimum != nil && c.TLS.Minimum < tls.VersionTLS12 {
		s.Warnf(minimum.At, "minimum below 1.2: passwords may cross the network under broken ciphers (RFC 8996)")
	}
	s.Close()
	switch {
	case certAt == nil && keyAt == nil:
		c.TLS.Certificate, c.TLS.Key, c.TLS.SelfSigned = c.InData(SelfCert), c.InData(SelfKey), true
		return
	case certAt == nil:
		s.Errorf(keyAt.At, "key is set but certificate is not")
		return
	case keyAt == nil:
		s.Errorf(certAt.At, "certificate is set but key is not")
		return
	}
	c.TLS.Certificate, c.TLS.Key = r.path(cert, true), r.path(key, true)
	if pair := r.pair(certAt, keyAt, c.TLS.Certificate, c.TLS.Key); pair != nil {
		r.leaf(certAt.At, pair.Leaf, c.Hostname)
	}
}

// pair reads a certificate and its key; nil after an error, and for who only
// peeks.
func (r *reader) pair(certAt, keyAt *value, cert, key string) *tls.Certificate {
	if r.peek {
		return nil
	}
	certText, err := r.readFile(cert)
	if err != nil {
		r.Errorf(certAt.At, "certificate %s cannot be read: %s", cert, plain(err))
	}
	keyText, errKey := r.readFile(key)
	if errKey != nil {
		r.Errorf(keyAt.At, "key %s cannot be read: %s", key, plain(errKey))
	}
	if err != nil || errKey != nil {
		return nil
	}
	if r.open(key) {
		r.Warnf(keyAt.At, "everyone may read the key %s; chmod o-r", key)
	}
	pair, err := tls.X509KeyPair(certText, keyText)
	if err != nil {
		r.Errorf(certAt.At, "certificate and key are not a usable pair: %s", strings.TrimPrefix(err.Error(), "tls: "))
		return nil
	}
	return &pair
}

func (r *reader) leaf(at place, leaf *x509.Certificate, hostname string) {
	switch {
	case leaf == nil:
	case r.now.After(leaf.NotAfter):
		r.Warnf(at, "the certificate expired on %s; senders that check will not deliver", leaf.NotAfter.Format(time.DateOnly))
	case r.now.Before(leaf.NotBefore):
		r.Warnf(at, "the certificate is valid only from %s on", leaf.NotBefore.Format(time.DateOnly))
	case leaf.VerifyHostname(hostname) != nil:
		r.Warnf(at, "the certificate does not name %s, the hostname", hostname)
	}
}

func (r *reader) spool(s *section, c *Config) {
	c.Spool = Spool{Dir: c.InData(SpoolDir), Sync: true, Memory: 256 << 20, MinFreePercent: 5}
	var dirs []string
	if v := s.Strings("directories", false, func(v *value) { dirs = append(dirs, r.path(v.Text, false)) }); v != nil {
		switch len(dirs) {
		case 0:
			s.Errorf(v.At, "directories is empty")
		case 1:
			c.Spool.Dir = dirs[0]
		default:
			s.Errorf(v.At, "more than one spool directory is not built yet; name one")
		}
	}
	if v := s.Bool("sync", &c.Spool.Sync); v != nil && !c.Spool.Sync {
		s.Warnf(v.At, "sync is false: mail that was answered 250 is lost when the power fails or the kernel stops")
	}
	s.Size("memory", &c.Spool.Memory, 1<<20, tera)
	r.minFree(s, c)
	s.Close()
}

// minFree reads "5%" or "10GiB".
func (r *reader) minFree(s *section, c *Config) {
	v := s.Typed("min_free_disk", unstable.String, `a part such as "5%" or a size such as "10GiB"`)
	if v == nil {
		return
	}
	if number, percent := strings.CutSuffix(v.Text, "%"); percent {
		p, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || math.IsNaN(p) || p < 0 || p > 90 {
			s.Errorf(v.At, `min_free_disk must be from "0%%" to "90%%", not %q`, document.Clip(v.Text))
			return
		}
		c.Spool.MinFreePercent = p
	} else {
		n, err := units.ParseSize(v.Text)
		if err != nil {
			s.Errorf(v.At, `min_free_disk must be a part such as "5%%" or a size such as "10GiB", not %q`, document.Clip(v.Text))
			return
		}
		c.Spool.MinFreePercent, c.Spool.MinFreeBytes = 0, n
	}
	if c.Spool.MinFreePercent == 0 && c.Spool.MinFreeBytes == 0 {
		s.Warnf(v.At, "min_free_disk is 0: a full disk stops the relay until it is restarted")
	}
}

func (r *reader) dns(s *section, c *Config) {
	s.Strings("servers", false, func(v *value) {
		if a, ok := hostPort(v.Text, "53"); ok {
			c.DNS.Servers = append(c.DNS.Servers, a)
			return
		}
		s.Errorf(v.At, `servers: %q is not an address; write "192.0.2.53" or "127.0.0.1:5353"`, document.Clip(v.Text))
	})
	dnssec := "auto"
	s.Choice("dnssec", &dnssec, "auto", "trusted")
	c.DNS.TrustAD = dnssec == "trusted"
	r.probe(s, c)
	s.Duration("timeout", &c.DNS.Timeout, 100*time.Millisecond, 5*time.Minute)
	s.Duration("min_ttl", &c.DNS.MinTTL, time.Second, time.Hour)
	s.Duration("max_ttl", &c.DNS.MaxTTL, time.Minute, 7*24*time.Hour)
	s.Duration("negative_ttl", &c.DNS.Negative, time.Second, 24*time.Hour)
	s.Duration("serve_stale", &c.DNS.StaleFor, time.Second, 7*24*time.Hour)
	s.Size("cache_memory", &c.DNS.MaxMemory, 1<<20, tera)
	s.Close()
}

// probe reads the zone by which the resolver shows that it validates.
func (r *reader) probe(s *section, c *Config) {
	v := s.String("dnssec_probe", &c.HostTLS.Probe)
	if v == nil || v.Text == "." {
		return
	}
	if d, err := smtp.ParseDomain(strings.TrimSuffix(v.Text, ".")); err != nil || d.IsLiteral() {
		s.Errorf(v.At, `dnssec_probe: %q is no zone; write "." (the root) or a signed zone that every server here knows`, document.Clip(v.Text))
	}
}

func (r *reader) delivery(s *section, c *Config) {
	q, d := &c.Queue, &c.Delivery
	port := 25
	s.Integer("port", &port, 1, 65535)
	c.Route.Port = uint16(port)
	q.Retry = []time.Duration{5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 40 * time.Minute, 80 * time.Minute, 2 * time.Hour}
	var retry []time.Duration
	if v := s.Strings("retry", false, func(v *value) {
		if wait, ok := s.DurationOf("retry", v, time.Second, 7*24*time.Hour); ok {
			retry = append(retry, wait)
		}
	}); v != nil {
		q.Retry = retry
		if len(v.Items) == 0 {
			s.Errorf(v.At, "retry is empty; it is the list of waits between attempts, and the last repeats")
		}
	}
	q.Jitter = 0.1
	q.Expire = 72 * time.Hour
	at := s.Duration("expire", &q.Expire, time.Minute, year)
	if at != nil && len(q.Retry) > 0 && q.Expire < q.Retry[0] {
		s.Warnf(at.At, "expire is shorter than the first wait of retry: each message gets one attempt")
	}
	if v := s.Duration("delay_notice", &q.DelayNotice, 0, year); v != nil && q.DelayNotice >= q.Expire {
		s.Warnf(v.At, "delay_notice is not before expire: no delay notice will ever be sent")
	}
	d.Timeouts = delivery.DefaultTimeouts()
	s.Bool("private_destinations", &d.PrivateDestinations)
	c.Route.PrivateDestinations, c.HostTLS.PrivateDestinations = d.PrivateDestinations, d.PrivateDestinations
	families := "ipv6-first"
	s.Choice("addresses", &families, "ipv6-first", "ipv4-first", "ipv6-only", "ipv4-only")
	d.Families = map[string]dial.Families{"ipv6-first": dial.IPv6First, "ipv4-first": dial.IPv4First, "ipv6-only": dial.IPv6Only, "ipv4-only": dial.IPv4Only}[families]
	s.Strings("own", true, func(v *value) { r.own(s, v, c) })
	dane, sts := true, true
	s.Bool("dane", &dane)
	s.Bool("mta_sts", &sts)
	c.HostTLS.NoDANE, c.HostTLS.NoSTS = !dane, !sts
	pipelining, bdat := true, true
	s.Bool("pipelining", &pipelining)
	s.Bool("bdat", &bdat)
	d.NoPipelining, d.NoBDAT = !pipelining, !bdat
	d.ConnectionMessages, d.BatchRecipients, d.LaneConnections, q.LaneReady = 100, 100, 10, 1024
	s.Integer("connection_messages", &d.ConnectionMessages, 1, 1e6)
	s.Integer("batch_recipients", &d.BatchRecipients, 1, 1000)
	s.Integer("lane_connections", &d.LaneConnections, 1, 10000)
	s.Integer("lane_ready", &q.LaneReady, 1, 1e6)
	q.LaneConnections = d.LaneConnections
	s.Integer("shards", &q.Shards, 1, 256)
	if v := s.Version("tls_minimum", &d.TLSMinimum); v != nil && d.TLSMinimum == tls.VersionTLS13 {
		s.Warnf(v.At, "tls_minimum 1.3: mail to hosts that only have TLS 1.2, many still, goes unencrypted")
	}
	c.Bounce.PerSender = 1000
	s.Integer("dsn_per_sender", &c.Bounce.PerSender, 0, 1e9)
	conversion := "convert"
	s.Choice("conversion", &conversion, "convert", "fail")
	c.Rendition.KeepSignatures = conversion == "fail"
	lines := "convert"
	s.Choice("long_lines", &lines, "convert", "keep")
	c.Rendition.KeepLongLines = lines == "keep"
	r.timeouts(s.Sub("timeouts"), &d.Timeouts)
	s.Close()
}

// own reads a name or an address by which others know us, for instance that of a
// router in front which translates addresses.
func (r *reader) own(s *section, v *value, c *Config) {
	if a, err := netip.ParseAddr(v.Text); err == nil {
		c.Route.Own = append(c.Route.Own, a.Unmap())
		return
	}
	d, err := smtp.ParseDomain(v.Text)
	if err != nil || d.IsLiteral() {
		s.Errorf(v.At, `own: %q is neither an address nor a host name; write "192.0.2.25" or "mx.example.test"`, document.Clip(v.Text))
		return
	}
	c.Route.OwnNames = append(c.Route.OwnNames, string(d))
}

func (r *reader) timeouts(s *section, t *delivery.Timeouts) {
	for _, one := range []struct {
		key  string
		into *time.Duration
	}{
		{"connect", &t.Connect},
		{"banner", &t.Banner},
		{"ehlo", &t.EHLO},
		{"starttls", &t.StartTLS},
		{"mail", &t.Mail},
		{"rcpt", &t.Rcpt},
		{"data", &t.Data},
		{"block", &t.Block},
		{"dot", &t.Dot},
		{"reset", &t.Reset},
		{"quit", &t.Quit},
		{"idle", &t.Idle},
	} {
		v := s.Duration(one.key, one.into, 100*time.Millisecond, time.Hour)
		if v != nil && one.key == "dot" && t.Dot < 10*time.Minute { // RFC 5321 section 4.5.3.2.6
			s.Warnf(v.At, "dot is shorter than the 10m of RFC 5321: a slow receiver gets the message twice")
		}
	}
	s.Close()
}

func (r *reader) log(s *section, c *Config) {
	level, format, dir := "info", "text", LogDir
	s.Choice("level", &level, "debug", "info", "warn", "error")
	s.Choice("format", &format, "text", "json")
	c.Log.JSON = format == "json"
	if err := c.Log.Level.UnmarshalText([]byte(level)); err != nil {
		c.Log.Level = slog.LevelInfo // cannot be: choice has checked it
	}
	s.String("directory", &dir)
	m := &c.MailLog
	m.Dir, m.Sync, m.SegmentSize, m.Retain = r.path(dir, false), true, 64<<20, 30*24*time.Hour
	if v := s.Bool("sync", &m.Sync); v != nil && !m.Sync {
		s.Warnf(v.At, "sync is false: the last records of the mail log are lost when the power fails")
	}
	s.Size("segment_size", &m.SegmentSize, 1<<16, tera)
	s.Duration("retention", &m.Retain, time.Hour, 20*year)
	s.Close()
}

// derive fills what follows from the rest.
func (r *reader) derive(c *Config) {
	c.Ingress.Hostname, c.Intake.Hostname, c.Delivery.Hostname = c.Hostname, c.Hostname, c.Hostname
	c.Route.Hostname, c.Auth.Hostname, c.MailLog.NodeID = c.Hostname, c.Hostname, c.Hostname
	c.Route.Source = mail.Source{Name: "default", EHLO: c.Hostname}
	c.Auth.Path = c.InData(AccountsFile)
	c.Suppress.Own = slices.Clone(c.Auth.Domains)
	for _, e := range c.Elsewhere {
		c.Suppress.Own = append(c.Suppress.Own, e.Domain)
	}
	c.Mailbox.Hostname, c.IMAP.Hostname, c.POP3.Hostname = c.Hostname, c.Hostname, c.Hostname
	c.Admin.TokenPath = c.InData(TokenFile)
	if c.Ingress.Limits == (ingress.Limits{}) {
		c.Ingress.Limits = ingress.DefaultLimits()
	}
}

// plainSecrets warns of passwords that stand in a file that everyone may read.
func plainSecrets(file string, text []byte) []Warning {
	root, p := document.Parse(file, text)
	if p != nil || root.Values["route"] == nil {
		return nil
	}
	var found []Warning
	for _, item := range root.Values["route"].Items {
		if item.Table == nil {
			continue
		}
		if v := item.Table.Values["password"]; v != nil && v.Kind == unstable.String {
			found = append(found, &Problem{File: file, Line: v.At.Line, Column: v.At.Column, Text: `a password in a file that everyone may read; use { file = "..." } or chmod o-r`})
		}
	}
	return found
}
