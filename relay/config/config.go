package config

import (
	"log/slog"
	"path/filepath"

	"tenma/dnscache"
	"tenma/relay/admin"
	"tenma/relay/admin/setup"
	"tenma/relay/admin/unsubscribe"
	"tenma/relay/bounce"
	"tenma/relay/bounce/classify"
	"tenma/relay/config/acme"
	"tenma/relay/delivery"
	"tenma/relay/ingress"
	"tenma/relay/intake"
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
	"tenma/relay/policy/tenant"
	"tenma/relay/policy/verdict"
	"tenma/relay/queue"
	"tenma/relay/tlsrpt"
	"tenma/relay/wire/smtp"
)

// Config is everything that the relay is told. It is plain data: reading it
// opens no socket and creates no file. Loggers inside the stages' parts are
// left nil for the assembly to set.
type Config struct {
	Path     string // the file that it was read from, absolute; "": Default
	Hostname string // said in the banner, EHLO and Received
	DataDir  string // absolute; the assembly creates it

	TLS   TLS
	ACME  ACME
	Spool Spool
	Log   Log

	Ingress     ingress.Config
	Intake      intake.Config
	Queue       queue.Config
	Delivery    delivery.Config
	Mailbox     mailbox.Config
	MailLog     maillog.Config
	Admin       admin.Config
	IMAP        imap.Config
	POP3        pop3.Config
	Setup       setup.Config
	Unsubscribe unsubscribe.Config
	Classify    classify.Config

	Elsewhere []Elsewhere // domains whose mail we take for mailboxes that others keep

	DNS       dnscache.Config
	Route     route.Config
	Auth      auth.Config
	DKIM      dkim.Config
	Rotation  rotation.Config // of the keys that the relay keeps
	Tenants   tenant.Config
	Rendition rendition.Config
	Bounce    bounce.Config
	HostTLS   hosttls.Config
	Suppress  suppress.Config
	Verdict   verdict.Config
	Returns   returns.Config
	TLSRPT    tlsrpt.Config
	Milter    milter.Config
}

// TLS says which certificate the listeners show.
type TLS struct {
	Certificate string // PEM chain, absolute path
	Key         string // PEM key, absolute path
	// SelfSigned says that none was named: the pair is made at the paths above,
	// in the data directory, if it is not there.
	SelfSigned bool
	Minimum    uint16 // version that a client must have, tls.VersionTLS12 ...; 0: 1.2
}

// ACME is [acme].
type ACME = acme.Settings

// ACMEHTTP is the challenge that is answered by HTTP.
const ACMEHTTP = acme.HTTP

// Spool is [spool]; cmd/tenma makes the engine's own configuration of it.
type Spool struct {
	Dir            string  // absolute
	Sync           bool    // false: a 250 may be lost with the power
	Memory         int64   // octets of bodies kept in memory
	MinFreePercent float64 // of the disk; below it Commit is refused; 0: see MinFreeBytes
	MinFreeBytes   int64   // the same in octets
}

// Elsewhere is a [[domain]] whose mailboxes lie behind a [[route]].
type Elsewhere struct {
	Domain smtp.Domain
	Ask    bool // the next hop is asked about each recipient; else all are taken
	To     route.Rule
}

// Log is the program log (the mail log is MailLog).
type Log struct {
	Level slog.Level
	JSON  bool // one JSON object a line instead of text
}

// Names inside the data directory that are not settings.
const (
	AccountsFile    = "accounts.toml"
	TokenFile       = "admin-token"
	DKIMDir         = "dkim"
	OldMailDir      = "mail" // Maildirs of versions before the mail store
	BoxesDir        = "mailboxes"
	SRSKeyFile      = "srs-key"
	ReturnsKeysFile = "returns-keys"
	PoliciesFile    = "mta-sts.jsonl"
	SuppressDir     = "suppressions"
	TLSRPTFile      = "tlsrpt.jsonl"
	LogDir          = "log"
	SpoolDir        = "spool"
	ACMEDir         = "acme"
	SelfCert        = "self-signed.crt"
	SelfKey         = "self-signed.key"
)

// InData gives the path of a name inside the data directory.
func (c *Config) InData(name string) string { return filepath.Join(c.DataDir, name) }
