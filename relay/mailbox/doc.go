// Package mailbox is the stage that delivers mail for the relay's own domains
// and keeps it for those who read it.
//
// Store.Deliver brings a message to the mailboxes of its recipients, by the
// rules that hold for them. Store.Open opens a Mailbox: folders, and in each
// folder messages, numbered by UIDs that only ever rise. Its Select gives a View,
// one session's picture of one folder; the packages imap and pop3 show Views to
// people's programs. How all of it is kept, package store tells.
package mailbox
