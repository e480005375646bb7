package delivery

import (
	"container/list"
	"net/netip"
	"strconv"
	"time"

	"tenma/relay/delivery/client"
	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// key is what a connection was opened for; another attempt may use it only if
// it has the same key and one of its hosts.
type key struct {
	lane   mail.Lane
	source mail.Source
	kind   mail.Kind // an MX is held to public addresses, a configured host is not
	demand mail.TLSDemand
	lmtp   bool
	auth   mail.Credentials
}

// keyOf gives the key of an attempt. A message that demands REQUIRETLS needs a
// host that shows who it is (RFC 8689 section 4.2.1).
func keyOf(a *mail.Attempt) key {
	r := &a.Route
	k := key{lane: r.Lane, source: r.Source, kind: r.Kind, demand: r.TLS, lmtp: r.LMTP}
	if a.Envelope.RequireTLS && (k.demand == mail.TLSOpportunistic || k.demand == mail.TLSRequired) {
		k.demand = mail.TLSVerified
	}
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
	name   string        // hostKey of target
	phases mail.Phases   // of opening it; the first transaction reports them
	rest   *list.Element // its place in pool.rest, while it is idle
	used   int           // transactions begun
	batch  int           // recipients that the host takes in one transaction, 0: not known
	reused bool          // it came out of the pool
	clean  bool          // a transaction ended well: the next may ride behind a dot
	dirty  bool          // a transaction was left open: RSET before the next
	since  time.Time     // when it became idle
}

// fits ranks the connection for an attempt whose key is want: by the
// preference of its host among the attempt's.
func (k *conn) fits(want *key, hosts []mail.Host) (rank int, ok bool) {
	for i := range hosts {
		if h := &hosts[i]; sameHost(h, &k.target) {
			return int(h.Pref), k.key == *want
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

// demands are the names of TLS demands in TLSInfo.Policy.
var demands = [...]string{"opportunistic", "none", "required", "verified", "implicit"}

func policyName(d mail.TLSDemand) string {
	if int(d) < len(demands) {
		return demands[d]
	}
	return "unknown"
}

// ours is an error that carries the reply we compose where a remote has none to
// give, or gave one that must not be believed.
func ours(code int, status smtp.Status, text string) *smtp.Error {
	return &smtp.Error{Reply: smtp.Reply{Code: code, Status: status, Text: text}}
}
