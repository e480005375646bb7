// Package rules decides what happens to a message beside being put into a
// mailbox: by which sender it is forwarded, whether it goes in circles, whether
// it is answered automatically, and what the answer and the relay's own
// warnings look like. It is pure: no I/O, no clock, no randomness.
//
//	srs.go       the Sender Rewriting Scheme: forwarded mail bears our domain
//	             in its envelope, and what comes back finds the true sender
//	loop.go      Delivered-To: mail that was here before
//	vacation.go  who gets an automatic reply, and who must not (RFC 3834)
//	notice.go    the reply, and warnings about the quota, as messages
package rules
