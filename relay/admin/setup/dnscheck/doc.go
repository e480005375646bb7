// Package dnscheck tells what of a domain's DNS receivers hold against its mail.
//
// Who takes mail from a stranger asks the DNS four things before reading it. Has
// the address a name, and does the name lead back (PTR)? May this address send
// for the domain (SPF, RFC 7208)? Does a key of the domain vouch for this
// message (DKIM, RFC 6376)? And what does the domain want done where neither does
// (DMARC, RFC 7489)? Who sends to the domain asks where to (MX, RFC 5321 section
// 5), and how safely (MTA-STS, RFC 8461; DANE, RFC 7672). A mistake in any of
// these is seldom reported to whoever made it: the mail is just gone, or in the
// junk.
//
// Check asks the same questions as they do, through a small Resolver and a Prober,
// and gives a Finding for each record: what was found, whether it is right, and
// what to do. It compares with what Sender knows of the relay, changes nothing
// and keeps nothing. Each record is checked in a file of its own.
package dnscheck
