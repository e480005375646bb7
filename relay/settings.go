package relay

import (
	"log/slog"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strconv"

	"tenma/relay/config"
	"tenma/relay/wire/smtp"
)

// complete gives a copy of c with what only the running machine can tell: the
// addresses behind a listener on all interfaces, by which route and delivery
// notice mail that would come back to us (RFC 5321 section 5.1).
func complete(c *config.Config) *config.Config {
	full := *c
	own := slices.Clone(c.Route.Own)
	if listensEverywhere(c) {
		addrs, _ := net.InterfaceAddrs() // without them only the names tell a loop
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok {
				if ip, ok := netip.AddrFromSlice(n.IP); ok {
					own = append(own, ip.Unmap())
				}
			}
		}
	}
	for i, a := range own {
		own[i] = a.Unmap()
	}
	full.Route.Own, full.Delivery.Own = own, own
	full.Mailbox.Hostname = c.Hostname
	full.Returns.People = !postmaster(c).IsNull()
	return &full
}

// listensEverywhere reports a mail listener on all addresses of the port at
// which other domains' mail hosts are expected.
func listensEverywhere(c *config.Config) bool {
	for _, l := range c.Ingress.Listeners {
		host, port, err := net.SplitHostPort(l.Address)
		a, _ := netip.ParseAddr(host)
		if err == nil && (host == "" || a.IsUnspecified()) && port == strconv.Itoa(int(c.Route.Port)) {
			return true
		}
	}
	return false
}

// postmaster is whom a DSN names as the one to ask: the postmaster of the first
// domain that lives here, nobody where there is none.
func postmaster(c *config.Config) smtp.Address {
	if len(c.Auth.Domains) == 0 {
		return smtp.Address{}
	}
	return smtp.Address{Local: "postmaster", Domain: c.Auth.Domains[0]}
}

// warnUnchanged logs each setting of c that a reload cannot put in force.
func warnUnchanged(log *slog.Logger, was, c *config.Config) {
	mailLog := c.MailLog
	mailLog.NodeID = was.MailLog.NodeID // told as hostname
	for _, s := range []struct {
		name     string
		was, now any
	}{
		{"data_dir", was.DataDir, c.DataDir},
		{"hostname", was.Hostname, c.Hostname},
		{"[spool]", was.Spool, c.Spool},
		{"[tls]", was.TLS, c.TLS},
		{"[log]", [...]any{was.Log, was.MailLog}, [...]any{c.Log, mailLog}},
		{"[mailbox] directory", was.Mailbox.Dir, c.Mailbox.Dir},
		{"[[listen]] protocol http", was.Admin.Listeners, c.Admin.Listeners},
	} {
		if !reflect.DeepEqual(s.was, s.now) {
			log.Warn("a setting changes only with a restart", "setting", s.name)
		}
	}
}
