// Package header reads and edits the header section of a message as text (RFC
// 5322 section 2.2), without changing an octet that it is not asked to change.
package header
