// Package intake is the one door through which mail comes in from outside. It
// checks for loops, adds the Received field, notes what the content needs of
// the next hop, stores envelope and body as one spool entry, and returns when
// that entry is on stable storage.
//
// A body is read once, as it arrives: kept in memory up to spool.MaxInline,
// streamed to the spool beyond that. When its header section is complete it is
// judged (section.go); a message that is not to be taken is still read to its
// end, so that the client hears why. What the relay adds is a prefix
// (received.go); the body itself is never changed (promise 2 of package relay),
// but that blind-copy and other unwanted fields go out before it is stored
// (drop.go). Whose mail it is is in tenant.go, who may send as whom in sender.go; who
// looks at messages before they are stored, in inspect.go.
//
// Where something in a message differs from recipient to recipient, it becomes one
// entry for each, over one body (split.go).
//
// Server.Accept is the only entry point.
package intake
