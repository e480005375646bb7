// Package dkim is the adviser that signs outgoing mail (RFC 6376, 8463): with
// every key that is configured for the From domain, relaxed/relaxed, over a
// fixed list of header fields each signed once more than it occurs.
package dkim
