// Package delivery is the stage that carries mail to other hosts by SMTP and
// LMTP.
//
// Client.Deliver takes one connection of a lane from the pool or dials one,
// meets the route's TLS demand, and sends attempt after attempt over it,
// pipelined: MAIL, RCPT and DATA in one write, and after one clean transaction
// the next message's commands behind the final dot. outcome.go is the one
// place where an error becomes a mail.Outcome.
package delivery
