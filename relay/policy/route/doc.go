// Package route is the adviser that answers where mail of a domain goes and
// from which source.
//
// A configured rule decides first; then come the domains whose mailboxes live
// here (they stand before the rule "*", which is for the rest of the world),
// address literals, and the MX records of the domain as RFC 5321 section 5.1
// reads them: no MX record means that the domain is its own mail exchanger, a
// null MX (RFC 7505) that it takes no mail, our own name among the exchangers
// that only those before it may have the mail. A DNS that does not answer keeps
// the mail: it is never a reason to fail it, nor to try the address record.
//
// The set of hosts is the site, and source and site name the lane: all domains
// that one provider hosts wait in one queue. Mail that shares a lane may share
// a connection, so whatever makes connections differ (port, LMTP, TLS demand,
// login) is part of the lane's name too.
//
// New builds an Adviser; Route asks the DNS where it must, Cached never does.
// Adviser keeps no goroutine. DESIGN.md has RFC 5321 section 5 sentence by sentence.
package route
