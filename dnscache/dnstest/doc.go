// Package dnstest is a DNS server that answers from a zone text, for tests and
// for the internet in a box.
//
// New makes a Server from the text of any number of zones (RFC 1035 section 5;
// names are absolute, the default TTL is 300 s). It answers as a recursive
// resolver would: aliases are followed within the text, "*" records are
// expanded (RFC 4592), what is not there is denied with the SOA record of the
// zone, and with one made up where the text has none.
//
// Dial leads to it in memory, over UDP and TCP, without goroutines and real
// time: a cache in a testing/synctest bubble can use it. ListenAndServe serves
// on real sockets. Misbehave makes it lie, fail or fall silent about a name;
// Count tells what it was asked.
package dnstest
