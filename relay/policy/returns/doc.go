// Package returns is the adviser that says which mail of ours another message is
// about: a report that comes back, a complaint, a request to unsubscribe.
//
// Mail systems return what they cannot deliver to its return path (RFC 5321
// section 3.6.3), hours after they took it, and many say neither whose mail it
// was nor for whom. So a message to one recipient is sent with a return path of
// its own (known as VERP), which names both:
//
//	04dke...@r.sender.test
//
// The part before the @ is a token (token.go). It is signed, so nobody can make
// one, and what arrives at such a domain is taken only with one that verifies.
// Nothing is remembered for it: no table that grows with the mail, that a crash
// could lose, or that the other nodes of a cluster would have to share. All that
// they share is the key (keys.go).
//
// 64 octets (RFC 5321 section 4.5.3.1.1) have no room for an address, so a token
// holds the recipient and the tenant as keyed hashes: whoever holds the token and
// a guess (from the report, from what it returns) can tell whether the guess is
// right, with our key. Where there is more room, the same is said in full, but
// sealed (seal.go): in a header field of ours that comes back with what is
// returned, and in the links by which people unsubscribe.
//
// Signer.Sign and Read are for tokens, Seal and Open for what is sealed.
package returns
