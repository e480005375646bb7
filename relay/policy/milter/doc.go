// Package milter asks mail filters about a message: programs such as rspamd,
// ClamAV's clamav-milter or OpenDKIM that run beside the relay and speak the milter
// protocol (package wire/milter has its words). Adviser.Inspect answers one
// question: may this message be taken, and what is to be changed first?
//
// A milter expects to sit beside an SMTP session and to hear each command as it
// comes. Here it hears of a message when all of it is known, the header section and
// what is small enough for memory: so a slow client keeps no filter busy, and a
// filter that is slow or away costs nobody who only says NOOP. A long body is passed
// on in pieces as it arrives.
//
//   - talk.go is the dialogue about one message with one filter;
//   - conn.go keeps connections for the next message;
//   - changes.go applies what a filter changes to a header section and an envelope;
//   - inspection.go runs the talks, one after the other where it can, and makes one
//     verdict of what they say;
//   - macros.go has the values that filters read beside the commands.
//
// A filter that is away, late, or says what it may not say has failed, and its
// Filter.Default decides. A filter's changes are all made or none, and the only
// changes that it may ask for are those that are made.
package milter
