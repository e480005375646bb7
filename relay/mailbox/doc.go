// Package mailbox is the stage that delivers mail for the relay's own domains
// and keeps it for those who read it.
//
// An account has a mailbox: folders, and in each folder messages, numbered by
// UIDs that only ever rise. Store opens all of them and Deliver brings mail in;
// Open gives a Mailbox, whose Select gives a View, one session's picture of one
// folder. The packages imap and pop3 show Views to people's programs.
//
// Everything is in one database (package ledger): small records for what
// changes of a message, others for what does not, and bodies (package ledger/blob),
// each kept once, however many messages it has. In memory there is of a mailbox in use the state of
// its folders, and of a folder that is open one list of its messages (package
// list), which all views share. DESIGN.md tells why.
package mailbox
