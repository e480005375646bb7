// Package door is what every stage that listens needs below its protocol:
// sockets. It decides who gets in (limits by client, the PROXY protocol), puts
// TLS on a connection, runs one goroutine for each, and empties the house when
// the relay stops.
//
// New makes a Door of a listener; Serve runs it; a handler gets a Conn.
package door
