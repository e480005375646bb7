package dkim

import (
	"log/slog"

	"tenma/relay/wire/smtp"
)

// Config is what a Signer is told.
type Config struct {
	Keys []Key
	// Granted lists the domains that an account or tenant may be signed for,
	// subdomains included; others are not signed for these, but for accounts of
	// the very domain. nil: every domain that has a key, for every sender that may
	// relay.
	Granted map[string][]smtp.Domain
}

// Deps is what a Signer uses besides.
type Deps struct {
	Log *slog.Logger // nil: slog.Default()
}

// Key is one [[dkim]]; several of one domain sign together.
type Key struct {
	Domain   smtp.Domain
	Selector string
	Path     string // PEM: PKCS #1 or PKCS #8, RSA or Ed25519
}
