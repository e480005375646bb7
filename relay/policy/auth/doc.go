// Package auth is the adviser that answers who a client is, and which
// mailboxes of the relay's own domains exist.
//
// Accounts live in one TOML file (file.go) that the relay and the command line
// both write, by atomic replacement under a lock; a Directory notices a change
// within a second. Passwords are kept as argon2id hashes (RFC 9106) with
// SCRAM-SHA-256 keys (RFC 5802, RFC 7677) beside them, since one cannot be
// derived from the other.
//
// Beside its main password an account may have app passwords: made here, each for
// one device or program, and each shut out alone. Settings of an account (quota,
// forwarding, automatic reply, ...) stand in the same file. Accounts may also be
// known to somebody else, an LDAP server or a program: package external.
//
// Open gives a Directory. Recipient and Resolve serve RCPT and local delivery,
// Settings what is done there. Service gives the logins of one protocol: hashing
// is bounded, good logins are remembered for a minute, guessing is slowed down
// and in the end banned for a day, an unknown user looks like a wrong password in
// text and time, and the log alone says what was wrong. The methods in manage.go
// serve the command line.
package auth
