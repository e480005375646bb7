package delivery

import (
	"container/list"
	"crypto/tls"
	"net/netip"
	"strconv"
	"time"

	"tenma/relay/delivery/client"
	"tenma/relay/delivery/handshake"
	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// key is what a connection was opened for; another attempt may use it only if
// it has the same key and one of its hosts, and if the connection is as safe as
// the attempt demands of that host.
type key struct {
	lane   mail.Lane
	source mail.Source
	kind   mail.Kind // an MX is held to public addresses, a configured host is not
	lmtp   bool
	auth   mail.Credentials
	cert   *tls.Certificate
}

// keyOf gives the key of an attempt.
func keyOf(a *mail.Attempt) key {
	r := &a.Route
	k := key{lane: r.Lane, source: r.Source, kind: r.Kind, lmtp: r.LMTP, cert: r.Certificate}
	if r.Auth != nil {
		k.auth = *r.Auth
	}
	return k
}

// place is where an answer came from.
type place struct {
	host     string
	peer     netip.AddrPort
	local    netip.Addr
	tls      mail.TLSInfo
	fellBack bool // in plaintext because TLS failed
	dsn      bool // the host offered DSN
}

// conn is an open session. One Deliver holds it, or the pool's idle list.
type conn struct {
	*client.Conn
	place
	key    key
	target mail.Host
	safety mail.Safety
	shake  handshake.Handshake // of TLS, if there was one
	name   string              // hostKey of target
	phases mail.Phases         // of opening it; the first transaction reports them
	rest   *list.Element       // its place in pool.rest, while it is idle
	used   int                 // transactions begun
	batch  int                 // recipients that the host takes in one transaction, 0: not known
	reused bool                // it came out of the pool
	clean  bool                // a transaction ended well: the next may ride behind a dot
	dirty  bool                // a transaction was left open: RSET before the next
	since  time.Time           // when it became idle
}

// fits ranks the connection for a job: by the preference of its host among the
// attempt's. What the attempt demands of the host is asked anew each time, since
// it may be another domain's, and the host's records may have changed; but
// nobody waits for it here.
func (k *conn) fits(j *job, g Guard) (rank int, ok bool) {
	if k.key != j.key {
		return 0, false
	}
	hosts := j.hosts()
	for i := range hosts {
		if h := &hosts[i]; sameHost(h, &k.target) {
			s, known := g.Cached(&j.a.Route, h, j.a.Envelope.TLSWish())
			return int(h.Pref), known && k.safety.Serves(&s)
		}
	}
	return 0, false
}

// hostKey names a host in the memories.
func hostKey(h mail.Host) string { return h.Name + ":" + strconv.Itoa(int(h.Port)) }

// greeting is the name that we say in EHLO: the source's, else the relay's,
// else our address (RFC 5321 section 4.1.3).
func greeting(s *mail.Source, cfg *Config, local netip.Addr) string {
	switch {
	case s.EHLO != "":
		return s.EHLO
	case cfg.Hostname != "":
		return cfg.Hostname
	case local.Is4():
		return "[" + local.String() + "]"
	case local.IsValid():
		return "[IPv6:" + local.WithZone("").String() + "]"
	}
	return "localhost"
}

// Commands as Outcome.Command names them.
const (
	cmdDNS      = "DNS"
	cmdConnect  = "CONNECT"
	cmdEHLO     = "EHLO"
	cmdStartTLS = "STARTTLS"
	cmdAuth     = "AUTH"
	cmdMail     = "MAIL"
	cmdRcpt     = "RCPT"
	cmdData     = "DATA"
	cmdBdat     = "BDAT"
	cmdDot      = "."
)

// ours is an error that carries the reply we compose where a remote has none to
// give, or gave one that must not be believed.
func ours(code int, status smtp.Status, text string) *smtp.Error {
	return &smtp.Error{Reply: smtp.Reply{Code: code, Status: status, Text: text}}
}
