// Package acme obtains the certificates that listeners show from an authority that
// speaks ACME (RFC 8555), such as Let's Encrypt, and renews them.
//
// The protocol, the schedule of renewals, OCSP and the files are certmagic's. This
// package owns its goroutines: nothing runs before Keeper.Run or after it. Until the
// first certificate is there, and for names that have none, listeners show the
// self-signed one of package certificate, so that mail never waits for an authority.
//
// New makes a Keeper, Server gives the TLS settings of listeners, Run does the work.
package acme
