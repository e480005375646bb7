// Package names is the DNS of an internet of any size: it answers by rule, not
// from a zone text, so that a million domains cost no memory and no cycles to
// set up.
//
// Every name below a zone of Config is a domain that takes mail. The hash of
// its name chooses its MX hosts among those of Config.Hosts, and chance, by the
// same hash, the domains that do not exist, fail or stay silent: the same ones
// each time, in every run. A mail server sees as many sites as there are
// hosts, or, with Config.Own, as many as there are domains.
//
//	d7.test             MX   10 mx17.hosts.test      with Own: 10 mx1.d7.test
//	                    TXT  "v=spf1 ip4:127.0.0.0/8 -all"
//	mx17.hosts.test     A    the 17th of Hosts      with Own: mx1.d7.test
//	3.0.1.127.in-addr.arpa         PTR  mx3.hosts.test
//	1.0.0.127.in-addr.arpa         PTR  ip-127-0-0-1.hosts.test, and A back again
//	localhost           A    127.0.0.1; AAAA ::1
//
// Other types are there without data, other names do not exist; both replies
// have an SOA record, to be remembered by. Package dnscache/dnstest is the DNS
// for tests: it answers from a zone text, and can lie in many more ways.
//
// Server.Answer makes a reply (answer.go), on the wire format itself (wire.go),
// since a load test asks on the processor that it measures.
package names
