// Package handshake says what a TLS handshake with a mail host must meet, and
// what it came to.
//
// A Handshake makes the tls.Config for one connection out of a mail.Safety. Go's
// own verification is off; VerifyConnection does it, since that is called for
// resumed sessions too (VerifyPeerCertificate is not). A session that was made
// under another demand, with other TLSA records, from another source, or showing
// another certificate of ours is never resumed: Sessions keeps them apart by Key.
//
// FaultOf sorts what went wrong for reports, PolicyName names what was demanded
// for the log.
package handshake
