// Package imap is the grammar of IMAP commands and responses (RFC 9051 section
// 9, with what RFC 3501 has besides) as far as this server reads and writes it
// itself: tokens, sets of numbers, mailbox names, what FETCH and SEARCH ask for.
// It holds no state of a session and does no I/O of its own.
//
// A Parser reads the arguments of one command that is whole in memory, with its
// literals where they stood. A Writer writes responses.
package imap
