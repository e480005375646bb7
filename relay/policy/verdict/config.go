package verdict

import (
	"cmp"
	"log/slog"
	"time"

	"tenma/metrics"
	"tenma/relay/wire/smtp"
)

// Action is what is done about mail that DMARC finds forged.
type Action string

// Actions, spelled as in the configuration.
const (
	Mark   Action = "mark"   // nothing but Authentication-Results
	Reject Action = "reject" // refused, if the author's domain wants that
)

// Config is what an Adviser is told. Zero fields take the defaults named here.
type Config struct {
	Off      bool   // nothing is looked at
	Hostname string // authserv-id of the results (RFC 8601 section 2.5)
	DMARC    Action // "": Mark
	// Forwarders are the domains of ARC sealers that are believed: mail that they
	// found in order is not refused because of DMARC.
	Forwarders []smtp.Domain
	// Patience bounds all of the questions about one message; 0: 20 s. A client
	// waits 10 minutes for the reply to its final dot (RFC 5321 section
	// 4.5.3.2.6), and other work comes behind.
	Patience time.Duration
}

func (c Config) withDefaults() Config {
	c.DMARC = cmp.Or(c.DMARC, Mark)
	c.Patience = cmp.Or(c.Patience, 20*time.Second)
	return c
}

// Deps are what an Adviser works with.
type Deps struct {
	Resolver Resolver
	// Percent draws a number from 0 to 99 for domains that want their DMARC policy
	// for a part of their mail only (pct=); nil: it is for all. It may be called
	// from any goroutine.
	Percent func() int
	Metrics *metrics.Verdict // nil: counted for nobody
	Log     *slog.Logger     // nil: silent
}

// Limits of what one message can make us do.
const (
	// maxSignatures is how many DKIM signatures are looked at, from the top. Mail
	// has one or two, of mailing lists and platforms up to five.
	maxSignatures = 10
	// atOnce is how many questions about a message are under way at a time.
	atOnce = 8
	// maxAuthors is how many mailboxes of From are looked at.
	maxAuthors = 10
)
