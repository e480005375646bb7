// Package door is what every stage that listens needs below its protocol:
// sockets. It decides who gets in (limits by client, the PROXY protocol), puts
// TLS on a connection, notices clients whose TLS setting is not the port's, runs
// one goroutine for each connection, and empties the house when the relay stops.
//
// New makes a Door of a listener; Serve runs it; a handler gets a Conn and waits
// for commands with Conn.Await. Clients, ReadProxy and the small functions on
// addresses also serve stages that accept connections in their own way.
package door
