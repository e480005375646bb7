// Package delivery is the stage that carries mail to other hosts by SMTP and
// LMTP.
//
// Client.Deliver takes one connection of a lane from the pool (pool.go) or
// opens one (open.go: hosts by preference, addresses, TLS demand, AUTH; package
// dial below: in which order, and which is first), and sends attempt after attempt
// over it (session.go); whom a host turns away goes to the next one of the route
// (elsewhere.go). A transaction is pipelined:
// MAIL, RCPT and DATA in one write, and after one clean transaction the next
// message's commands behind the final dot (transaction.go sends, negotiate.go
// reads what the host makes of it). outcome.go is the one place where a reply
// or an error becomes a mail.Outcome. Package client below speaks the protocol.
//
// Two questions decide whatever goes wrong. May the message have arrived? Only
// once its last octet was handed to the network: then the outcome is deferred
// and says so. And whose fault is it? What happened to a connection before the
// host said a word about a message is not the message's, unless the connection
// was new: such an attempt is untried and costs nothing.
//
// DESIGN.md has the reasons; the dialogues in testdata are the rules by example.
package delivery
