// Package client speaks the client's side of SMTP (RFC 5321) and LMTP
// (RFC 2033) over one connection. It knows commands, replies and bodies; it
// knows nothing of queues, pools, hosts or fates.
//
// A Conn collects commands until something must be waited for: Mail, Rcpt,
// Data and the rest only append to its buffer, and Reply first flushes what is
// there, then reads one reply. So a caller pipelines (RFC 2920) by appending
// several commands before it reads, and goes step by step by reading after
// each.
//
// Opening a session is Greet, Hello, perhaps StartTLS and Hello again, perhaps
// Auth. A body goes out with Body between BeginBody and EndBody, dot-stuffed
// for DATA or plain for BDAT, in blocks that each have a time limit.
//
// Every octet that comes in is hostile: a line, the lines of a reply, and the
// whole reply have limits, and what breaks the grammar is ErrProtocol.
package client
