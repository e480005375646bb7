// Package dnscache is a caching stub resolver for what a mail relay asks: MX,
// addresses (A and AAAA as one question), TXT, PTR and TLSA.
//
// A stub leaves recursion and validation to a resolver nearby. What is left to
// it, and is done here: to remember answers while their time to live lasts,
// denials too (RFC 2308); to send each question once, however many wait for it;
// to ask again for popular answers before they end, so that nobody waits; to
// pass over servers that are silent; to serve addresses past their time when
// every server is (RFC 8767); and to believe nothing that it did not ask for.
//
// Forgery is made hard as RFC 5452 demands: a query has a random id and leaves
// from a connected socket, so that only its server can answer and from a port
// that the system drew at random; a socket is used by one query at a time, or
// by the two for the addresses of a host, and thrown away after a few dozen,
// after any silence, and after any reply that does not fit. A run of such
// replies moves the question to TCP.
//
// New builds a Cache, Run refreshes popular answers and follows changes of
// resolv.conf, Apply changes the configuration. Lookups work without Run too,
// without those two comforts. Read on in lookup.go (the road of a question),
// store.go (what is kept), exchange.go and pair.go (servers) and reply.go (what
// is believed). Package dnstest answers questions from a zone text.
package dnscache
