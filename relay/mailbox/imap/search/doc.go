// Package search answers SEARCH, SORT and THREAD (RFC 9051 section 6.4.4, RFC
// 5256) over a folder.
//
// A Query is what a client asks: a tree of conditions, made by Parse of a
// command's arguments or by Compile of the IMAP library's own type. It has
// bounds, so that no client can make the server think for long: MaxNodes,
// MaxDepth, MaxText.
//
// Run answers it in steps, from what costs nothing to what costs most, and
// takes to each step only the messages whose case is still open: first what a
// session has in memory (numbers, flags), then what the store keeps beside a
// message (dates, size, the digest of its header), then its header, and last its
// text, decoded, part by part. In each step a tree of conditions is yes, no or
// not known yet; "no and not known" is no, "yes or not known" is yes.
//
// Letters are compared without regard to case, to composed or decomposed
// accents, and to width (fold.go), in the manner of i;unicode-casemap (RFC 5051).
//
// Data makes of the numbers found what the library sends; Sort and Thread put
// them in order.
package search
