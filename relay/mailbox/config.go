package mailbox

import (
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tenma/metrics"
	"tenma/relay/mailbox/store"
	"tenma/relay/wire/smtp"
)

// Config is what a Store is told. Zero fields take DefaultConfig's.
type Config struct {
	Dir      string // the database
	Hostname string // in warnings and automatic replies
	Log      *slog.Logger

	Quota       int64 // octets of one mailbox; below 0: none
	QuotaWarn   int   // percent of the quota at which a warning is put into INBOX; below 0: never
	MessageSize int64 // octets of the largest message that APPEND may bring
	Folders     int   // of one mailbox

	TrashDays, JunkDays, POP3Days int // see mail.Settings; 0 and below: for ever

	SRSDomain  smtp.Domain // forwarded mail gets senders of this domain (SRS); "": the domain of the account
	SRSKeyPath string      // made at first need
}

// DefaultConfig is what holds where the configuration is silent.
func DefaultConfig() Config {
	return Config{
		Quota: -1, QuotaWarn: 90, MessageSize: 50 << 20, Folders: 2000,
		TrashDays: 30, JunkDays: 30, POP3Days: -1,
	}
}

func (c Config) withDefaults() Config {
	def := DefaultConfig()
	if c.Hostname == "" {
		c.Hostname = "localhost"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Quota == 0 {
		c.Quota = def.Quota
	}
	for _, n := range []struct{ to, def *int }{
		{&c.QuotaWarn, &def.QuotaWarn},
		{&c.Folders, &def.Folders},
		{&c.TrashDays, &def.TrashDays},
		{&c.JunkDays, &def.JunkDays},
		{&c.POP3Days, &def.POP3Days},
	} {
		if *n.to == 0 {
			*n.to = *n.def
		}
	}
	if c.MessageSize == 0 {
		c.MessageSize = def.MessageSize
	}
	return c
}

func (c Config) bounds() store.Bounds {
	return store.Bounds{MessageSize: c.MessageSize, Folders: c.Folders}
}

// Deps are what a Store works with.
type Deps struct {
	Resolver Resolver
	Outbox   Outbox           // nil: nothing is forwarded or answered
	FS       vfs.FS           // nil: the machine's
	MinFree  func() error     // an error that wraps spool.ErrFull when the disk is nearly full; nil: never
	Metrics  *metrics.Mailbox // nil: counted for nobody
	Random   func([]byte)     // fills a slice with random octets; nil: crypto/rand
	MemTable int              // of the database, in octets; 0: 64 MiB
	Bubble   bool             // for tests: the database runs without its ticker, as a testing/synctest bubble needs
}

const day = 24 * time.Hour
