// Package smtp holds the words of RFC 5321 and its neighbours: addresses,
// replies and enhanced status codes. It is pure: no I/O, no clock.
//
// Address and Domain are what an envelope is made of; ParsePath reads one from
// a MAIL or RCPT argument. Reply is what one side of an SMTP conversation says
// to the other; Error is a Reply that one part of the relay hands another as a
// Go error, with a second text for ourselves.
package smtp
