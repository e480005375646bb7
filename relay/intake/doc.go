// Package intake is the one door through which mail comes in from outside. It
// checks for loops, adds the Received field, notes what the content needs of
// the next hop, stores envelope and body as one spool entry, and returns when
// that entry is on stable storage.
//
// Server.Accept is the only entry point.
package intake
