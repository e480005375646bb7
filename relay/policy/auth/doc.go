// Package auth is the adviser that answers who a client is, and which
// mailboxes of the relay's own domains exist.
//
// Accounts live in one file that the relay and the command line both write by
// atomic replacement. Passwords are kept as argon2id hashes with SCRAM-SHA-256
// keys beside them; unknown and known users cost the same time.
package auth
