// Package internet is an internet in a box: mail receivers with manners of
// their own (quick, slow, greylisting, strict, broken) and the DNS that leads
// to them, on memory connections inside a test or on loopback addresses.
//
// A Receiver is one host that takes mail by SMTP and remembers what it took;
// its Manner says how it behaves. World puts several of them behind one DNS.
package internet
