package external

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"time"

	"github.com/go-ldap/ldap/v3"

	"tenma/relay/wire/smtp"
)

// maxAnswer bounds what is read of a server in one conversation, in octets.
const maxAnswer = 1 << 20

// directory asks an LDAP server. Each question has a connection of its own: a
// bind changes whose connection it is, and logins are rare beside what is
// remembered of them.
type directory struct {
	cfg      Config
	host     string // host:port
	implicit bool   // TLS from the first octet
	tls      *tls.Config
	dn       template // nil: the entry is searched for
	filter   template
}

func newDirectory(c Config) (*directory, error) {
	d := &directory{cfg: c}
	if err := d.address(); err != nil {
		return nil, err
	}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, err
		}
		if d.tls.RootCAs = x509.NewCertPool(); !d.tls.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: no certificate in PEM form", c.CA)
		}
	}
	if (c.BindDN == "") != (c.Password == "") {
		return nil, errors.New("bind_dn and its password are there together or not at all") // RFC 4513 section 5.1.2
	}
	sample := smtp.Address{Local: "ann", Domain: "example.test"}
	var err error
	if c.UserDN != "" {
		if d.dn, err = parseTemplate(c.UserDN); err != nil {
			return nil, fmt.Errorf("user_dn: %w", err)
		}
		if _, err = ldap.ParseDN(d.dn.fill(sample, ldap.EscapeDN)); err != nil {
			return nil, fmt.Errorf("user_dn %q is no name: %w", c.UserDN, err)
		}
	} else if c.Base == "" {
		return nil, errors.New("neither user_dn nor base says where accounts are")
	}
	if _, err = ldap.ParseDN(c.Base); err != nil {
		return nil, fmt.Errorf("base %q is no name: %w", c.Base, err)
	}
	if d.filter, err = parseTemplate(c.Filter); err != nil {
		return nil, fmt.Errorf("filter: %w", err)
	}
	if _, err = ldap.CompileFilter(d.filter.fill(sample, ldap.EscapeFilter)); err != nil {
		return nil, fmt.Errorf("filter %q is none: %w", c.Filter, err)
	}
	return d, nil
}

// address reads the URL.
func (d *directory) address() error {
	u, err := url.Parse(d.cfg.URL)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Path != "" && u.Path != "/" {
		return fmt.Errorf("url %q is not of the form ldaps://host or ldap://host", d.cfg.URL)
	}
	port := u.Port()
	switch u.Scheme {
	case "ldap":
		if port == "" {
			port = "389"
		}
	case "ldaps":
		d.implicit = true
		if port == "" {
			port = "636"
		}
	default:
		return fmt.Errorf("url %q: the scheme is neither ldap nor ldaps", d.cfg.URL)
	}
	if d.cfg.NoTLS {
		ip, err := netip.ParseAddr(u.Hostname())
		if d.implicit || u.Hostname() != "localhost" && (err != nil || !ip.IsLoopback()) {
			return errors.New("no_tls is for ldap:// to this machine only: passwords would be readable on the way")
		}
	}
	d.host = net.JoinHostPort(u.Hostname(), port)
	d.tls = &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
	return nil
}

func (d *directory) verify(ctx context.Context, a smtp.Address, password string) error {
	return d.converse(ctx, func(c *ldap.Conn) error {
		dn := ""
		if d.dn != nil {
			dn = d.dn.fill(a, ldap.EscapeDN)
		} else {
			if err := d.service(c); err != nil {
				return err
			}
			var err error
			if dn, err = d.find(c, a); err != nil {
				return err
			}
			if dn == "" {
				return ErrRefused
			}
		}
		err := c.Bind(dn, password)
		// Of an account that is locked, or not one to bind as, some servers say so.
		if ldap.IsErrorAnyOf(err, ldap.LDAPResultInvalidCredentials, ldap.LDAPResultNoSuchObject, ldap.LDAPResultInappropriateAuthentication,
			ldap.LDAPResultConstraintViolation, ldap.LDAPResultUnwillingToPerform) {
			return ErrRefused
		}
		return err
	})
}

func (d *directory) lookup(ctx context.Context, a smtp.Address) (found bool, err error) {
	err = d.converse(ctx, func(c *ldap.Conn) error {
		if err := d.service(c); err != nil {
			return err
		}
		dn, err := d.find(c, a)
		found = dn != ""
		return err
	})
	return found, err
}

// service logs in as who may search.
func (d *directory) service(c *ldap.Conn) error {
	if d.cfg.BindDN == "" {
		return nil
	}
	if err := c.Bind(d.cfg.BindDN, d.cfg.Password); err != nil {
		return fmt.Errorf("logging in as %s: %w", d.cfg.BindDN, err)
	}
	return nil
}

// find gives the name of an account's entry, "" for none.
func (d *directory) find(c *ldap.Conn, a smtp.Address) (string, error) {
	base, scope, filter := d.cfg.Base, ldap.ScopeWholeSubtree, ""
	if d.dn != nil {
		base, scope, filter = d.dn.fill(a, ldap.EscapeDN), ldap.ScopeBaseObject, "(objectClass=*)"
	} else {
		filter = d.filter.fill(a, ldap.EscapeFilter)
	}
	const two = 2 // tell one from many
	seconds := max(1, int(d.cfg.Timeout/time.Second))
	// "1.1" asks for no attribute (RFC 4511 section 4.5.1.8).
	res, err := c.Search(ldap.NewSearchRequest(base, scope, ldap.NeverDerefAliases, two, seconds, false, filter, []string{"1.1"}, nil))
	switch {
	case ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject) && d.dn != nil:
		return "", nil
	case ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded), err == nil && len(res.Entries) > 1:
		return "", fmt.Errorf("%w: more than one entry is found by %s", errThis, filter)
	case err != nil:
		return "", fmt.Errorf("searching %s: %w", base, err)
	case len(res.Entries) == 0:
		return "", nil
	}
	return res.Entries[0].DN, nil
}

// converse connects, with TLS, and has one conversation, which ends with ctx.
func (d *directory) converse(ctx context.Context, talk func(*ldap.Conn) error) error {
	raw, err := d.cfg.Dial(ctx, "tcp", d.host)
	if err != nil {
		return err
	}
	deadline, _ := ctx.Deadline() // Source has set one
	_ = raw.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	conn := net.Conn(&limited{Conn: raw, left: maxAnswer})
	if d.implicit {
		t := tls.Client(conn, d.tls)
		if err := t.HandshakeContext(ctx); err != nil {
			return errors.Join(err, raw.Close())
		}
		conn = t
	}
	c := ldap.NewConn(conn, d.implicit)
	c.SetTimeout(time.Until(deadline))
	c.Start()
	defer c.Close()
	if !d.implicit && !d.cfg.NoTLS {
		if err := c.StartTLS(d.tls); err != nil {
			return fmt.Errorf("StartTLS: %w", err)
		}
	}
	return talk(c)
}

// limited is a connection that ends after so many octets.
type limited struct {
	net.Conn
	left int
}

func (l *limited) Read(b []byte) (int, error) {
	if l.left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := l.Conn.Read(b[:min(len(b), l.left)])
	l.left -= n
	return n, err
}
