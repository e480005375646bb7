// Package arc has the words of the Authenticated Received Chain (RFC 8617): how
// each who hands a message on tells the next what its signatures looked like when
// it arrived, before a mailing list or a forward broke them.
//
// Who hands on adds a Set of three header fields with one instance number i=:
//
//	ARC-Authentication-Results  what was found on arrival, like Authentication-Results
//	ARC-Message-Signature       a DKIM signature of the message as it goes out
//	ARC-Seal                    a signature of all sets so far, and cv=: whether the
//	                            chain was whole on arrival
//
// Read collects the sets of a header section, Chain.Validate judges them (section
// 5.2), Seal.Append makes the next (section 5.1). A chain that is whole says only
// who handed the message on and what they claim; whether to believe them is for
// the reader's policy.
package arc
