// Package pop3 serves mailboxes to people's mail programs by POP3. It is a child of
// package mailbox, which keeps the mail; this one speaks the protocol.
package pop3
