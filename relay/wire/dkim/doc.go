// Package dkim has the octets that a DKIM signature is made over (RFC 6376): the
// relaxed canonical forms of header fields and bodies (section 3.4), which are
// the same whatever white space was changed on the way, and the DKIM-Signature
// field itself (section 3.5).
//
// BodyHash takes a body as it comes and gives the bh= tag. AppendField gives one
// header field in its canonical form. Signature is the field to be: Value gives
// its value with an empty b= tag, Digest what the key is to sign, AppendSigned
// the whole.
//
// Who verifies begins with ReadClaim for each DKIM-Signature, lets Bodies hash the
// body as it passes, and when it has the key (Claim.KeyName, ParseKey) asks
// Claim.Verify. Everything that is read comes from outside, keys included; what is
// wrong is a Fault with the result that RFC 8601 has for it.
//
// Package arc builds on it.
package dkim
