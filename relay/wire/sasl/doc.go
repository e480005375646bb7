// Package sasl is the server's side of the login exchanges that SMTP, IMAP and
// POP3 share (RFC 4422): PLAIN, LOGIN and SCRAM-SHA-256. It holds no account and
// does no I/O: a protocol carries the octets, and who someone is it asks back.
package sasl
