// Package fetch writes what FETCH shows of a message's octets: header, bodies,
// parts, their structure and envelope (RFC 9051 section 7.5.2).
//
// A Message stands for one message after the other. Begin finds what a list of
// items needs to know of the next: in what the store keeps beside a message if that
// is enough, or else in the message. Write then writes one item after the other.
// Contents are copied from the store in pieces: memory does not grow with the
// message.
package fetch
