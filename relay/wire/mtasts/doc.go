// Package mtasts reads what a domain says by MTA-STS (RFC 8461): that its mail
// hosts have TLS and certificates that the world's authorities vouch for, and
// which hosts these are.
//
// There are two texts. A TXT record at RecordName says that there is a policy,
// and with its id when it has changed; ParseRecord reads it. The policy itself
// is a file at URL, to be had by HTTPS alone, so that whoever can forge answers
// of the DNS can neither replace it nor, once it is in memory, make it go away;
// Parse reads it.
//
// The policy is about the domain, not about its hosts: of two domains on the
// same hosts one may have a policy and the other none. Policy.Allows tells
// whether a host is one of the domain's.
package mtasts
