// Package milter holds the words of the milter protocol, version 6: what a mail
// server says to a mail filter (rspamd, ClamAV, OpenDKIM) and what it hears.
// It is pure: no connection, no clock.
//
// There is no RFC. What is written here was taken from the constants of
// Sendmail's libmilter (mfdef.h and mfapi.h, version 8.17) and tried against
// filters that are built on it, and against rspamd, which has its own.
//
// Both sides send packets: four octets with a length, most significant first,
// then one octet that says what it is, then its data; the length counts both.
// A talk begins with a negotiation, in which the server offers actions and steps
// and the filter chooses. Then each event of an SMTP session is one packet, to
// which the filter answers with a decision (go on, refuse...), unless it has
// asked not to answer. At the end of the message the filter may send changes
// before its decision. Values (macros) for an event go in a packet before it.
//
// Append* make the server's packets, Read takes one of the filter's from a stream,
// ParseNegotiation and ParseReply say what it means.
package milter
