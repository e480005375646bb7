// Package pebblespool keeps accepted mail in a Pebble database, one per spool
// directory. It is the default spool.Engine.
//
// # How a message becomes durable
//
// Commit and Settle only queue a request. One goroutine, the committer, takes
// everything that waits, writes it into one Pebble batch, commits that batch
// with one sync, and releases all who waited. While the disk syncs, the next
// group gathers by itself, so there is no fixed wait: a lone message costs one
// sync, a thousand together cost one sync as well. Settlements, for which
// nobody waits, are collected for a few milliseconds first by the settler,
// which also calls Options.BeforeSettle, so that the mail log is on its way
// before a settlement is and a slow log holds up no accept.
//
// The committer is the only writer of entries. What it reads is therefore what
// is stored, and every decision that must be made once (does this id exist,
// was this key used, is this entry parked) is made there, without locks.
//
// # How it lies in the database
//
// Envelopes, states, bodies and indexes have a prefix each; package layout has
// the table. Package disk stands between Pebble and the file system.
//
// # Who has an entry
//
// At each moment an entry is with the receiver of Feed, or on the way to it, or
// parked. Feed brings each one once per commit or park:
//
//   - Entries of this run go into a queue of ids when their group is durable.
//   - Entries of earlier runs (each entry carries the number of its run) are
//     read by age. A settlement that comes before the reading has reached its
//     entry takes the entry out of the reading's hands.
//   - Parked entries stand in the due index. The committer reads it from a
//     remembered mark; in this process an entry is parked if it lies behind the
//     mark. Nothing is written when it falls due.
//
// # When the disk fails
//
// Pebble retries, exits or loses data on an error of its log. So it never
// sees one: see disk.Fence. After the first such error the spool is sick until the
// process is restarted.
package pebblespool
