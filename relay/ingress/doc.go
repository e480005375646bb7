// Package ingress is the stage that accepts mail by SMTP and LMTP.
//
// go-smtp runs the grammar of the sessions; package front owns the socket
// above and below it. A session checks who may send what to whom, builds the
// envelope, and hands it with the body to the one door, Intake. The 250 after
// the final dot is sent when Intake.Accept has returned nil, never before
// (promise 1 of package relay).
package ingress
