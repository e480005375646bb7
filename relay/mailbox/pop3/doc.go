// Package pop3 serves mailboxes to people's mail programs by POP3. It is a child of
// package mailbox, which keeps the mail; this one speaks the protocol.
//
// A session is in one of three states (RFC 1939 section 3). In AUTHORIZATION the
// client says who it is, under TLS only. A good login takes the lock of the
// mailbox and a snapshot of its INBOX: numbers from 1, which stay what they are
// until the session ends, whatever arrives or vanishes meanwhile. In TRANSACTION the
// client reads and marks for deletion. QUIT leads to UPDATE, where all that was
// marked is removed in one step, or nothing is. A session that ends in any other
// way removes nothing.
//
// What is spoken:
//
//	RFC 1939  all but APOP, which wants passwords in clear on the server
//	RFC 2449  CAPA, TOP, UIDL, USER, PIPELINING, EXPIRE, IMPLEMENTATION,
//	          LOGIN-DELAY, RESP-CODES
//	RFC 2595  STLS
//	RFC 3206  AUTH-RESP-CODE: [AUTH], [SYS/TEMP], [SYS/PERM]
//	RFC 5034  AUTH with SCRAM-SHA-256 and PLAIN, initial response, "*"
//	RFC 6856  UTF8, LANG with one language
//	RFC 8314  implicit TLS
//
// LAST (RFC 1460) is left out as in RFC 1939: UIDL is what came in its place.
//
// Server is the stage; session.go is one conversation, commands.go the table of
// what it understands, maildrop.go the snapshot, and dots.go the form in which a
// message crosses the wire. conn.go owns the socket: time, lines and buffers.
package pop3
