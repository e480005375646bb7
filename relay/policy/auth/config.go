package auth

import "tenma/relay/wire/smtp"

// Config is what a Directory is told.
type Config struct {
	Path     string        // the accounts file; missing means no accounts
	Hostname string        // <postmaster> without a domain is postmaster here
	Domains  []smtp.Domain // whose mailboxes live here
	Aliases  []Alias
	Workers  int // argon2id runs at a time; 0: one per processor
}

// Alias is one [[alias]]: mail for Address goes to each of To.
type Alias struct {
	Address smtp.Address
	To      []smtp.Address
}
