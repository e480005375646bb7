// Package literal8 makes of a message that may hold NUL one that may not.
//
// IMAP's literals cannot carry NUL; BINARY (RFC 3516) has brought literal8, which
// can, in both directions. A message that APPEND brings as literal8 has later to
// be shown to clients that know nothing of it, so the parts of it that hold NUL
// are put into base64 before it is stored (RFC 3516 section 4.2 leaves this to
// the server). FETCH BINARY gives them as they were.
package literal8
