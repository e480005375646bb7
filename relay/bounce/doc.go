// Package bounce is the stage that tells senders what became of their mail: it
// composes delivery status notifications, DSNs.
//
// A DSN is a multipart/report message (RFC 6522) of three parts: a text that
// anybody can understand, the same facts for programs (message/delivery-status,
// RFC 3464), and what is returned of the original, its header or all of it.
// The sender chose with NOTIFY and RET whether to get one and how much of the
// message with it, and ENVID and ORCPT come back in it (RFC 3461).
//
// Composer.Compose turns the reports of one settlement into spool drafts with
// the null sender, which the settlement stores in the same atomic step. It
// never answers the null sender.
//
// Reader goes the other way: it tells what a message means that came back from
// somebody else's mail system. Its two halves are packages of their own, incoming
// for the messages and classify for the replies.
//
// A DSN is in ASCII wherever it can be, so that it passes every server on the
// way back: text beyond ASCII is quoted-printable, addresses of type utf-8 are
// escaped (RFC 6533 section 3). It needs 8BITMIME only if a whole 8-bit message
// is returned, and SMTPUTF8 only if the sender's own address does; then the
// parts are the message/global kinds of RFC 6533.
package bounce
