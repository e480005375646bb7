// Package incoming reads mail that came back: reports of failure and delay,
// complaints, and answers by machines.
//
// A report should be what RFC 3464 describes: a multipart/report with a
// message/delivery-status part that names each recipient, what became of it, an
// enhanced status and the reply of the remote server. Most are; of those, many
// are broken in some way, cut short, or a part of another message's text. The rest
// come from systems that are older than the RFC or do not care: some words, a
// transcript of the SMTP dialogue, an address. Read takes them all by the same
// few ideas, without knowing which program wrote them:
//
//   - Fields of a delivery status count wherever they stand, in a part of
//     their own or in the text (status.go).
//   - Without them, recipients are the addresses that lead a line of the text, or
//     follow a word such as "recipient" (recipients.go). What stands between one
//     and the next is about it.
//   - A reply is a number from 400 to 599 where replies have one (reply.go). The
//     words around it tell which command it answered.
//   - What comes behind "original message follows", or looks like the header of
//     a message, is the original (original.go). Its header tells the Message-ID,
//     and by its return path or X-headers whoever sent it may know more.
//
// What the remote said goes before what the reporter made of it: the status in
// the text of a reply counts more than the Status field.
//
// Complaints are RFC 5965's, read by wire/arf, and the JSON of Amazon SES.
// Auto-replies are known by the fields of RFC 3834 and by what older programs
// put there.
//
// Everything here is hostile. Read never fails on a message, only on reading it;
// time is linear in its size, and what is looked at and kept is bounded.
package incoming
