// Package dane judges certificates by TLSA records, as mail between hosts uses
// them.
//
// A domain whose zone is signed can publish, under the name that Name gives,
// which certificate or which authority its mail host has (RFC 6698). Nobody has
// to trust the world's certificate authorities then, and nobody on the way can
// pretend that the host has no TLS at all. RFC 7671 says how the records are
// read, RFC 7672 what of that holds for mail:
//
//   - Only two of the four usages count. DANE-EE (3) names the host's own
//     certificate or key, and then neither names nor dates in the certificate
//     matter. DANE-TA (2) names an authority, which must vouch for the host's
//     name in a chain that is otherwise checked as ever. PKIX-TA (0) and PKIX-EE
//     (1) are for clients that share a list of authorities with the server; mail
//     hosts do not.
//   - A record that makes no sense here (unknown numbers, data of the wrong
//     length) is unusable and is passed over. Where records are there and none
//     is usable, TLS is still a must, but nothing can be checked.
//   - Of several digests of one kind only the strongest counts, so that a weak
//     one, once broken, is no way around it.
//
// New makes a Set of the records of one host, Set.Verify judges the chain that
// the host showed. Whether the records may be believed (DNSSEC) is not this
// package's business.
package dane
