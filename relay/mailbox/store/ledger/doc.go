// Package ledger is the database under the mailboxes: what its keys and
// records are, and the one way in which it is written.
//
// Open opens a Pebble database. Whoever has a change makes a Batch, hands it to
// Submit and Waits. One goroutine, that of Run, takes all that was submitted,
// applies it as one batch with one sync, and calls what each change wants to
// have called when it is durable, in the order in which they were submitted. So
// the sync of a busy store is shared by all who wait for it, and the order in
// which a mailbox submitted its changes is the order in which they become true.
//
// Below Pebble stands the spool's fence (disk.Fence): when the disk fails,
// nothing is acknowledged any more, and reading goes on.
package ledger
