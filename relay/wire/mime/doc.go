// Package mime finds the parts of a message (RFC 2045 to 2049) and reads the
// values of the fields that describe them, as IMAP and searches need them.
//
// A message is a tree: a header section and a body, which is a text or a file,
// or a list of parts that are built in the same way (multipart), or another
// message (message/rfc822). Parse walks a message once from front to back and
// gives that tree with the places of all its pieces in the message, so that
// whoever wants one copies a Range. It keeps no contents.
//
// Everything here is hostile: mail is written by anyone, and much of it is
// broken without any malice. No message makes a function here fail; only
// reading it can. Time is linear in the size of the message, and memory is
// bounded by Limits: with the defaults a tree takes at most 20 MiB, whatever
// it was made of, and an ordinary one about a kilobyte.
//
// Part.Section answers IMAP's BODY[...]; WriteFields its HEADER.FIELDS.
// ParseEnvelope and ParseAddresses read the fields of ENVELOPE. DecodeTransfer
// and DecodeText undo what RFC 2045 section 6 and charsets did to a body,
// DecodeHeader what RFC 2047 did to a field. ParseDate reads dates, today's and
// obsolete ones. Summarize takes from a header what lists and searches want.
package mime
