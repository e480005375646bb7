// Package rendition is the adviser that says in which form a next hop can take a
// message: as it is stored; for a host without 8BITMIME (RFC 6152) in ASCII; and
// for any host in lines that it must take.
//
// Such a form is a rendition. It is derived from the stored message when a host
// first needs it, and never replaces that. Since every octet of the message may
// be another one, it has a signature of its own, made once, like that of the
// usual form. What it costs is two readings of the message, one for the
// signature, and one for each host that takes it; nothing of its text is kept.
//
// A message that bears the signature of somebody else, which its new form would
// break, is converted or fails, as Config says. Adviser.SevenBit and ShortLines are
// the questions; package wire/mime/sevenbit knows how.
package rendition
