// Package header reads and edits the header section of a message as octets
// (RFC 5322 section 2.2), without changing one that it is not asked to change.
//
// Mail from outside is often not what the RFC draws: fields without a colon,
// space before the colon, a continuation line at the very start, an mbox
// "From " line. Nothing here fails on such input. A line that is no field is
// handed out as a Field without a name, and everything that was read can be
// written again as it came.
//
// Split cuts a message in two and End finds the place of the cut in a message
// that is still arriving. Section.Fields walks the fields; Get, Count and
// Without are the usual questions to it. FirstMailbox and Decode read the values of
// the two fields that a relay has to understand: From and Subject.
package header
