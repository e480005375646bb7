package config

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"

	"tenma/relay/delivery"
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
func (r *reader) config(root *table) *Config {
	c := &Config{}
	s := r.section("", root)
	r.identity(s, c)
	r.tls(s.sub("tls"), c)
	r.spool(s.sub("spool"), c)
	r.dns(s.sub("dns"), c)
	r.delivery(s.sub("delivery"), c)
	r.log(s.sub("log"), c)
	r.listeners(s, c)
	r.domains(s, c)
	r.routes(s, c)
	r.behind(c)
	r.mailbox(s.sub("mailbox"), c)
	r.submission(s.sub("submission"), c)
	r.accounts(s.sub("auth"), c)
	r.setup(s.sub("setup"), c)
	r.dkim(s, c)
	s.close()
	r.useful(c)
	r.derive(c)
	return c
}

func (r *reader) identity(s *section, c *Config) {
	c.Hostname = r.systemHostname()
	var name string
	v := s.str("hostname", &name)
	if v != nil {
		d, err := smtp.ParseDomain(name)
		switch {
		case err != nil:
			s.errorf(v.at, "hostname: %q is not a host name", clip(name))
		case d.IsLiteral():
			s.errorf(v.at, "hostname must be a name, not an address; others look it up")
		default:
			c.Hostname = string(d)
			if !strings.Contains(c.Hostname, ".") {
				s.warnf(v.at, "hostname %q has no domain; receivers refuse mail from names that they cannot look up", c.Hostname)
			}
		}
	} else if r.file != "" && !strings.Contains(c.Hostname, ".") {
		s.warnf(place{}, "hostname is not set and the system's, %q, has no domain; receivers refuse mail from names that they cannot look up", c.Hostname)
	}
	dir := "tenma-data"
	if v := s.str("data_dir", &dir); v != nil && dir == "" {
		s.errorf(v.at, "data_dir is empty")
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(r.dir, dir)
	}
	c.DataDir = filepath.Clean(dir)
	r.dataDir = c.DataDir
}

func (r *reader) tls(s *section, c *Config) {
	var cert, key string
	certAt, keyAt := s.str("certificate", &cert), s.str("key", &key)
	c.TLS.Minimum = tls.VersionTLS12
	minimum := s.version("minimum", &c.TLS.Minimum)
	if minimum != nil && c.TLS.Minimum < tls.VersionTLS12 {
		s.warnf(minimum.at, "minimum below 1.2: passwords may cross the network under broken ciphers (RFC 8996)")
	}
	s.close()
	switch {
	case certAt == nil && keyAt == nil:
		c.TLS.Certificate, c.TLS.Key, c.TLS.SelfSigned = c.InData(SelfCert), c.InData(SelfKey), true
		return
	case certAt == nil:
		s.errorf(keyAt.at, "key is set but certificate is not")
		return
	case keyAt == nil:
		s.errorf(certAt.at, "certificate is set but key is not")
		return
	}
	c.TLS.Certificate, c.TLS.Key = r.path(cert, true), r.path(key, true)
	if r.peek {
		return
	}
	certText, err := r.readFile(c.TLS.Certificate)
	if err != nil {
		s.errorf(certAt.at, "certificate %s cannot be read: %s", c.TLS.Certificate, plain(err))
	}
	keyText, errKey := r.readFile(c.TLS.Key)
	if errKey != nil {
		s.errorf(keyAt.at, "key %s cannot be read: %s", c.TLS.Key, plain(errKey))
	}
	if err != nil || errKey != nil {
		return
	}
	if r.open(c.TLS.Key) {
		s.warnf(keyAt.at, "everyone may read the key %s; chmod o-r", c.TLS.Key)
	}
	pair, err := tls.X509KeyPair(certText, keyText)
	if err != nil {
		s.errorf(certAt.at, "certificate and key are not a usable pair: %s", strings.TrimPrefix(err.Error(), "tls: "))
		return
	}
	r.leaf(certAt.at, pair.Leaf, c.Hostname)
}

// version reads a TLS version.
func (s *section) version(key string, into *uint16) *value {
	var word string
	v := s.choice(key, &word, "1.0", "1.1", "1.2", "1.3")
	if v != nil {
		*into = map[string]uint16{"1.0": tls.VersionTLS10, "1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}[word]
	}
	return v
}

func (r *reader) leaf(at place, leaf *x509.Certificate, hostname string) {
	switch {
	case leaf == nil:
	case r.now.After(leaf.NotAfter):
		r.warnf(at, "the certificate expired on %s; senders that check will not deliver", leaf.NotAfter.Format(time.DateOnly))
	case r.now.Before(leaf.NotBefore):
		r.warnf(at, "the certificate is valid only from %s on", leaf.NotBefore.Format(time.DateOnly))
	case leaf.VerifyHostname(hostname) != nil:
		r.warnf(at, "the certificate does not name %s, the hostname", hostname)
	}
}

func (r *reader) spool(s *section, c *Config) {
	c.Spool = Spool{Dir: c.InData(SpoolDir), Sync: true, Memory: 256 << 20, MinFreePercent: 5}
	var dirs []string
	if v := s.strings("directories", false, func(v *value) { dirs = append(dirs, r.path(v.text, false)) }); v != nil {
		switch len(dirs) {
		case 0:
			s.errorf(v.at, "directories is empty")
		case 1:
			c.Spool.Dir = dirs[0]
		default:
			s.errorf(v.at, "more than one spool directory is not built yet; name one")
		}
	}
	if v := s.boolean("sync", &c.Spool.Sync); v != nil && !c.Spool.Sync {
		s.warnf(v.at, "sync is false: mail that was answered 250 is lost when the power fails or the kernel stops")
	}
	s.size("memory", &c.Spool.Memory, 1<<20, tera)
	r.minFree(s, c)
	s.close()
}

// minFree reads "5%" or "10GiB".
func (r *reader) minFree(s *section, c *Config) {
	v := s.typed("min_free_disk", unstable.String, `a part such as "5%" or a size such as "10GiB"`)
	if v == nil {
		return
	}
	if number, percent := strings.CutSuffix(v.text, "%"); percent {
		p, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || math.IsNaN(p) || p < 0 || p > 90 {
			s.errorf(v.at, `min_free_disk must be from "0%%" to "90%%", not %q`, clip(v.text))
			return
		}
		c.Spool.MinFreePercent = p
	} else {
		n, err := parseSize(v.text)
		if err != nil {
			s.errorf(v.at, `min_free_disk must be a part such as "5%%" or a size such as "10GiB", not %q`, clip(v.text))
			return
		}
		c.Spool.MinFreePercent, c.Spool.MinFreeBytes = 0, n
	}
	if c.Spool.MinFreePercent == 0 && c.Spool.MinFreeBytes == 0 {
		s.warnf(v.at, "min_free_disk is 0: a full disk stops the relay until it is restarted")
	}
}

func (r *reader) dns(s *section, c *Config) {
	s.strings("servers", false, func(v *value) {
		if a, ok := hostPort(v.text, "53"); ok {
			c.DNS.Servers = append(c.DNS.Servers, a)
			return
		}
		s.errorf(v.at, `servers: %q is not an address; write "192.0.2.53" or "127.0.0.1:5353"`, clip(v.text))
	})
	dnssec := "auto"
	s.choice("dnssec", &dnssec, "auto", "trusted")
	c.DNS.TrustAD = dnssec == "trusted"
	s.duration("timeout", &c.DNS.Timeout, 100*time.Millisecond, 5*time.Minute)
	s.duration("min_ttl", &c.DNS.MinTTL, time.Second, time.Hour)
	s.duration("max_ttl", &c.DNS.MaxTTL, time.Minute, 7*24*time.Hour)
	s.duration("negative_ttl", &c.DNS.Negative, time.Second, 24*time.Hour)
	s.duration("serve_stale", &c.DNS.StaleFor, time.Second, 7*24*time.Hour)
	s.size("cache_memory", &c.DNS.MaxMemory, 1<<20, tera)
	s.close()
}

func (r *reader) delivery(s *section, c *Config) {
	q, d := &c.Queue, &c.Delivery
	port := 25
	s.integer("port", &port, 1, 65535)
	c.Route.Port = uint16(port)
	q.Retry = []time.Duration{5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 40 * time.Minute, 80 * time.Minute, 2 * time.Hour}
	var retry []time.Duration
	if v := s.strings("retry", false, func(v *value) {
		if wait, ok := s.durationOf("retry", v, time.Second, 7*24*time.Hour); ok {
			retry = append(retry, wait)
		}
	}); v != nil {
		q.Retry = retry
		if len(v.items) == 0 {
			s.errorf(v.at, "retry is empty; it is the list of waits between attempts, and the last repeats")
		}
	}
	q.Jitter = 0.1
	q.Expire = 72 * time.Hour
	at := s.duration("expire", &q.Expire, time.Minute, year)
	if at != nil && len(q.Retry) > 0 && q.Expire < q.Retry[0] {
		s.warnf(at.at, "expire is shorter than the first wait of retry: each message gets one attempt")
	}
	if v := s.duration("delay_notice", &q.DelayNotice, 0, year); v != nil && q.DelayNotice >= q.Expire {
		s.warnf(v.at, "delay_notice is not before expire: no delay notice will ever be sent")
	}
	d.Timeouts = delivery.DefaultTimeouts()
	s.boolean("private_destinations", &d.PrivateDestinations)
	c.Route.PrivateDestinations = d.PrivateDestinations
	pipelining, bdat := true, true
	s.boolean("pipelining", &pipelining)
	s.boolean("bdat", &bdat)
	d.NoPipelining, d.NoBDAT = !pipelining, !bdat
	d.ConnectionMessages, d.BatchRecipients, d.LaneConnections, q.LaneReady = 100, 100, 10, 1024
	s.integer("connection_messages", &d.ConnectionMessages, 1, 1e6)
	s.integer("batch_recipients", &d.BatchRecipients, 1, 1000)
	s.integer("lane_connections", &d.LaneConnections, 1, 10000)
	s.integer("lane_ready", &q.LaneReady, 1, 1e6)
	q.LaneConnections = d.LaneConnections
	s.integer("shards", &q.Shards, 1, 256)
	if v := s.version("tls_minimum", &d.TLSMinimum); v != nil && d.TLSMinimum == tls.VersionTLS13 {
		s.warnf(v.at, "tls_minimum 1.3: mail to hosts that only have TLS 1.2, many still, goes unencrypted")
	}
	c.Bounce.PerSender = 1000
	s.integer("dsn_per_sender", &c.Bounce.PerSender, 0, 1e9)
	conversion := "convert"
	s.choice("conversion", &conversion, "convert", "fail")
	c.Rendition.KeepSignatures = conversion == "fail"
	lines := "convert"
	s.choice("long_lines", &lines, "convert", "keep")
	c.Rendition.KeepLongLines = lines == "keep"
	r.timeouts(s.sub("timeouts"), &d.Timeouts)
	s.close()
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
		v := s.duration(one.key, one.into, 100*time.Millisecond, time.Hour)
		if v != nil && one.key == "dot" && t.Dot < 10*time.Minute { // RFC 5321 section 4.5.3.2.6
			s.warnf(v.at, "dot is shorter than the 10m of RFC 5321: a slow receiver gets the message twice")
		}
	}
	s.close()
}

func (r *reader) log(s *section, c *Config) {
	level, format, dir := "info", "text", LogDir
	s.choice("level", &level, "debug", "info", "warn", "error")
	s.choice("format", &format, "text", "json")
	c.Log.JSON = format == "json"
	if err := c.Log.Level.UnmarshalText([]byte(level)); err != nil {
		c.Log.Level = slog.LevelInfo // cannot be: choice has checked it
	}
	s.str("directory", &dir)
	m := &c.MailLog
	m.Dir, m.Sync, m.SegmentSize, m.Retain = r.path(dir, false), true, 64<<20, 30*24*time.Hour
	if v := s.boolean("sync", &m.Sync); v != nil && !m.Sync {
		s.warnf(v.at, "sync is false: the last records of the mail log are lost when the power fails")
	}
	s.size("segment_size", &m.SegmentSize, 1<<16, tera)
	s.duration("retention", &m.Retain, time.Hour, 20*year)
	s.close()
}

// derive fills what follows from the rest.
func (r *reader) derive(c *Config) {
	c.Ingress.Hostname, c.Intake.Hostname, c.Delivery.Hostname = c.Hostname, c.Hostname, c.Hostname
	c.Route.Hostname, c.Auth.Hostname, c.MailLog.NodeID = c.Hostname, c.Hostname, c.Hostname
	c.Route.Source = mail.Source{Name: "default", EHLO: c.Hostname}
	c.Auth.Path = c.InData(AccountsFile)
	c.Mailbox.Hostname, c.IMAP.Hostname, c.POP3.Hostname = c.Hostname, c.Hostname, c.Hostname
	c.Admin.TokenPath = c.InData(TokenFile)
	if c.Ingress.Limits == (ingress.Limits{}) {
		c.Ingress.Limits = ingress.DefaultLimits()
	}
}

// plainSecrets warns of passwords that stand in a file that everyone may read.
func plainSecrets(file string, text []byte) []Warning {
	root, p := document(file, text)
	if p != nil || root.values["route"] == nil {
		return nil
	}
	var found []Warning
	for _, item := range root.values["route"].items {
		if item.table == nil {
			continue
		}
		if v := item.table.values["password"]; v != nil && v.kind == unstable.String {
			found = append(found, &Problem{file, v.at.line, v.at.column, `a password in a file that everyone may read; use { file = "..." } or chmod o-r`})
		}
	}
	return found
}
