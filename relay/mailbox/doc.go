// Package mailbox is the stage that delivers mail for the relay's own domains.
//
// Store.Deliver writes each message as a file into a Maildir per account,
// durable before the recipient counts as sent.
package mailbox
