// Package mailbox is the stage that delivers mail for the relay's own domains.
//
// Store.Deliver writes each message as a file into a Maildir per account
// (https://cr.yp.to/proto/maildir.html): under a name of its own in tmp, synced,
// then renamed into new, whose directory is synced too. Only then does the
// recipient count as sent.
//
// The Maildir of ann@b.test is DIR/b.test/ann. A file holds Return-Path and
// Delivered-To fields, what the relay put before the message, and the message
// as it came, CRLF line ends included.
package mailbox
