// Package spool is the contract for the durable store of accepted mail.
//
// An Entry is one accepted message: an envelope and a state that only
// relay/mail can read, and a body. Commit stores entries; Settle changes an
// entry's state or removes it, and may store further entries (a DSN) in the
// same step. Feed hands each entry that needs work to the queue: new ones, all
// of them after a restart, and deferred ones when they fall due. It is the one
// way in, so that ordinary mail exercises recovery.
//
// # What a nil error promises
//
// Commit returning nil means that every draft of the call is on stable
// storage: a crash of the process, the kernel or the power after that moment
// loses none of it. An error means that the caller must not answer 250; the
// drafts may or may not be there after a crash (never in part: all drafts of
// one call, each whole, or none).
//
// Settle's done(nil) means the same of the settlement. A settlement that was
// not yet done when the process died may be undone by the crash: its entry
// comes back in its former state and is delivered again (promise 3 of package
// relay). An engine syncs a settlement within 50 ms even when idle.
//
// A body never changes after its commit. What the relay adds stands in front
// of it.
//
// # When storage fails
//
// After the first failed write or sync an engine is sick: it never retries
// (what a failed fsync left behind is unknown), every later Commit and Settle
// fails with ErrSick, reads go on, and a restart of the process shows exactly
// the acknowledged set. Below its disk reserve an engine answers Commit with
// ErrFull but goes on settling.
//
// The suite in spooltest runs against each engine; DESIGN.md has the reasons.
package spool
