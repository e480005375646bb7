package auth

import (
	"io"
	"log/slog"

	"tenma/metrics"
	"tenma/relay/policy/auth/external"
	"tenma/relay/wire/smtp"
)

// Config is what a Directory is told.
type Config struct {
	Path     string        // the accounts file; missing means no accounts
	Hostname string        // <postmaster> without a domain is postmaster here
	Domains  []smtp.Domain // whose mailboxes live here
	Aliases  []Alias
	Workers  int // argon2id runs at a time; 0: one per processor

	// CatchAll says for a domain of Domains who gets the mail for addresses that
	// do not exist there; without an entry it is refused.
	CatchAll map[smtp.Domain]smtp.Address

	// LoginDir is where the last login of each account is written down; "": the
	// directory "logins" beside the accounts file.
	LoginDir string

	// External is asked about the addresses of Domains that have no password
	// here; nil: there are only the accounts of the file.
	External *External

	Cost    Cost          // of new passwords
	Log     *slog.Logger  // nil: slog.Default
	Metrics *metrics.Auth // nil: not counted
	Random  io.Reader     // for salts and secrets; nil: crypto/rand
}

// External tells where accounts are known besides the accounts file: [auth].
type External = external.Config

// Alias is one [[alias]]: mail for Address goes to each of To.
type Alias struct {
	Address smtp.Address
	To      []smtp.Address
}

// Cost is how much work a password is worth. Zero fields take the defaults.
// Each hash carries its own cost, so a change is for new passwords only.
type Cost struct {
	Memory     uint32 // KiB of one argon2id run; 0: 19456
	Time       uint32 // passes; 0: 2
	Threads    uint8  // 0: 1
	Iterations int    // PBKDF2 rounds of the SCRAM keys; 0: 65,536
}

// withDefaults: 19 MiB, two passes, one thread is the OWASP recommendation
// (Password Storage Cheat Sheet) with the smallest time; 25 ms here. The
// SCRAM keys are as good a target as the hash to someone who has the file, so
// they get more than the 4,096 rounds that RFC 7677 section 4 asks at least:
// 65,536, which cost the client some 15 ms, once a login. That is the most that
// Cyrus SASL computes (MAX_ITERATION_COUNTER in its SCRAM plug-in); with more a
// Postfix that must log in refuses, and its mail waits for ever.
func (c Cost) withDefaults() Cost {
	if c.Memory == 0 {
		c.Memory = 19 << 10
	}
	if c.Time == 0 {
		c.Time = 2
	}
	if c.Threads == 0 {
		c.Threads = 1
	}
	if c.Iterations == 0 {
		c.Iterations = 1 << 16
	}
	return c
}
