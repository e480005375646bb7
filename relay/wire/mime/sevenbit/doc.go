// Package sevenbit gives a message the form that a host without 8BITMIME can
// take: ASCII, without NUL, in lines of at most 998 octets (RFC 5321 section
// 4.5.3.1.6, RFC 6152 section 3). It is pure: no I/O but that of the streams it
// is given, no clock.
//
// What the message says stays the same; how it is written changes. A part whose
// text does not pass is encoded: text as quoted-printable, or as base64 where
// that is shorter, anything else as base64 (RFC 2045 section 6). Multiparts and
// messages within must not be encoded themselves (RFC 2045 section 6.4): their
// parts are, each by itself, at any depth, and their label becomes 7bit. Octets
// above 127 in header fields, which were never allowed there, become encoded
// words (RFC 2047) and encoded parameters (RFC 2231). Parts that pass as they
// are keep every octet.
//
// The lesser need is ShortLines: octets above 127 may stay, lines over 998 octets,
// which every host may refuse (and some do), may not.
//
// NewPlan reads a message twice, once for its parts, once for what they hold,
// and gives a Plan, which has no text in it and is small. Plan.Reader converts
// the same text as it is read, so that neither a large message nor its other
// form is ever in memory. Plan.Breaks tells of signatures in the message that
// the conversion breaks.
package sevenbit
