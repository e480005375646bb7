// Package hosttls is the adviser that answers how safe a connection to a mail
// host must be.
//
// STARTTLS by itself protects against those who listen: whoever can change what
// passes can also take the offer away, or show a certificate of their own. Two
// ways have a domain say beforehand what its hosts will show:
//
//   - DANE (RFC 7672). TLSA records in a signed zone tell the host's
//     certificate. They count only where every step is validated: the MX
//     records, the host's addresses, the TLSA records themselves. We leave
//     validating to the resolver, and so DANE is used only while the resolver is
//     shown to validate (probe.go). If the records cannot be had though the way
//     to them is signed, the host is not used: otherwise it would be enough to
//     suppress the answer.
//   - MTA-STS (RFC 8461). A policy, fetched by HTTPS and remembered, names the
//     domain's hosts and promises certificates that authorities vouch for
//     (policy.go, fetch.go). It is the domain's: the lane stays that of the
//     whole MX set, and where the policy does not fit, the domain waits alone.
//
// A usable TLSA record decides; MTA-STS is asked only otherwise (RFC 8461 section
// 2); and where neither says anything, what the configuration demands. A message
// that was sent with REQUIRETLS (RFC 8689) needs, besides, hosts whose names are
// shown to be the domain's: by DNSSEC, by a policy, or by the configuration. One
// whose header says TLS-Required: No goes out whatever domains demand.
// demand.go puts these together, in one function without I/O.
//
// Demand asks where it must, Cached never does. Policy is for the adviser on
// routes, which waits where only the domain does. Run probes the resolver and
// fetches policies again before they end. New starts nothing.
package hosttls
