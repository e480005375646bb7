// Package sasl is the server's side of the login exchanges that SMTP, IMAP and
// POP3 share (RFC 4422): PLAIN, LOGIN and SCRAM-SHA-256. It holds no account and
// does no I/O: a protocol carries the octets, and who someone is it asks back.
//
// The protocol strips its base64, calls New with the name of the mechanism and an
// Asker, and passes each response to Exchange.Next until that is done or fails. If the
// client gives up, by a "*" or by leaving, the protocol calls Exchange.Cancel,
// so that a guesser is not better off for hanging up before the answer.
package sasl
