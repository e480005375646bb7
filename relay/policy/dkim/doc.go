// Package dkim is the adviser that signs outgoing mail (RFC 6376, RFC 8463).
//
// A message is signed with every key of one domain, RSA and Ed25519 side by
// side, relaxed/relaxed, over a fixed list of header fields each named once
// more than it occurs, so that none can be added later (section 8.15). The
// domain is that of the From field or one above it of the same organization, which is
// what DMARC looks at; without a key for it, that of the envelope sender (choose.go).
//
// New loads the keys and tries each; Signer.Wants and Signer.Sign serve the
// queue. A key that cannot be used makes Sign fail for its domain: that mail
// waits, it never goes out unsigned. What strangers write and an address here
// forwards is sealed instead (ARC, RFC 8617; seal.go). Generate, Inspect, Name, Record and Quote
// are for the operator.
package dkim
