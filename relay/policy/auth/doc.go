// Package auth is the adviser that answers who a client is, and which
// mailboxes of the relay's own domains exist.
//
// Accounts live in one TOML file (file.go) that the relay and the command line
// both write, by atomic replacement under a lock; a Directory notices a change
// within a second. Passwords are kept as argon2id hashes (RFC 9106) with
// SCRAM-SHA-256 keys (RFC 5802, RFC 7677) beside them, since one cannot be
// derived from the other.
//
// Open gives a Directory. Recipient and Resolve serve RCPT and local delivery;
// Plain and ScramSHA256 serve AUTH: hashing is bounded, good logins are
// remembered for a minute, guessing is slowed down, and an unknown user looks
// like a wrong password in text and time. Add, Passwd, Delete and List serve
// the command line.
package auth
