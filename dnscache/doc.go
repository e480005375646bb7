// Package dnscache is a caching stub resolver for what a mail relay asks: MX,
// A, AAAA, TXT, PTR and TLSA.
//
// Cache.Lookup... answers from memory while the record's time to live lasts,
// joins concurrent questions into one, refreshes popular answers before they
// end, and serves stale addresses when no server answers. Package dnstest
// answers questions from a zone text.
package dnscache
