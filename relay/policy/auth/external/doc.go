// Package external asks somebody else who the people here are: an LDAP server
// (RFC 4511), by binding as the account, or a program of the administrator's.
//
// A Source answers two questions. Verify: is this the password of that address?
// Exists: is there such an address? Answers to the second are remembered for
// minutes, since strangers ask it with every RCPT; a source that does not answer
// is left alone for a few seconds. An outage is always told apart from a no:
// ErrRefused and false are what the source said, any other error is that it
// could not be asked.
//
// New makes a Source of a Config. It starts no goroutine and does not connect.
package external
