// Package store keeps the mail of people: folders, messages, flags.
//
// An account has a mailbox: folders, and in each folder messages, numbered by
// UIDs that only ever rise. Open opens all of them; Store.DeliverTo brings mail
// in; Store.Mailbox opens one Mailbox, whose Select gives a View, one session's
// picture of one folder.
//
// Everything is in one database (package ledger): small records for what
// changes of a message, others for what does not, and bodies (package blob),
// each kept once, however many messages it has. In memory there is of a mailbox
// in use the state of its folders (box, folder), and of a folder that is open one
// list of its messages (package list), which all views share. Each operation is a
// change, worked out under the mailbox's lock and awaited without it. DESIGN.md
// tells why.
package store
