// Package table keeps a suppression list on the local disk: in a Pebble database
// of its own, since the list is read for each recipient, seldom written, and much
// larger than memory.
//
// A record's key begins with its kind: an entry in force, one that is held, or an
// index of one of both: by when failures made it (undo), and by when it ends
// (sweeping). How many entries there are of each kind is counted, and written in
// the same batch, so that what there is none of is never looked up, and nothing
// has to be counted at a start. Entries that are not there, nearly all that are
// asked for, are told from those that are by the Bloom filters of the tables.
//
// A change is one synced batch, or nothing. The fence of pebblespool/disk keeps
// errors of the disk from Pebble: after the first one nothing is written until a
// restart, what was acknowledged is there, and lookups go on.
//
// Open makes a Table, which is a suppress.Store.
package table
