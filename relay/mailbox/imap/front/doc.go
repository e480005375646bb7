// Package front stands between a socket and the library that knows the grammar
// of IMAP (go-imap's imapserver). It is the net.Conn that the library serves.
//
// The library is shown one whole command per turn, on one line: the front has
// collected it with its literals, answered the continuations, put each literal
// into the line as a quoted string, and judged sizes, nesting and time. So the
// library can never be out of step with the client, whatever a literal says, and
// never waits for one that does not come. Two things take more than a line: the
// message of APPEND, which streams through and whose last octet is held back until
// the command has ended well, and the exchanges of AUTHENTICATE and IDLE.
//
// Commands that the library does not know, or does not do well enough, are the
// session's: Config.Own names them, and Session.Handle answers them while the
// library waits in Read, so that nothing of them reaches it.
//
// The other way, the front collects what the library writes, changes the lines
// that list capabilities, and sends it all when the client must be waited for,
// when there is much of it, and at once during IDLE.
//
// TLS and time are the front's too. Without TLS no password is taken: LOGIN and
// AUTHENTICATE are refused before the library sees them. The library runs with
// InsecureAuth and without a tls.Config, and its deadlines do nothing.
//
// Per connection: New a Conn of a door.Conn, give it to Listener.Serve, whose
// other end is the library's Serve. In the library's NewSession, NetConn is the
// *Conn: Attach the session to it.
package front
