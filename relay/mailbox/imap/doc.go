// Package imap serves mailboxes to people's mail programs by IMAP. It is a child of
// package mailbox, which keeps the mail; this one speaks the protocol.
package imap
