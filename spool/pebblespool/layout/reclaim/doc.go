// Package reclaim gives back the room that removed mail takes in the tables of a
// spool.
//
// To remove a message is to write that it is gone: some forty octets, in a
// memtable at first. What it took in a table is given back when that table is
// merged with the news, and Pebble merges by how tables lie on each other, not
// by what is gone. After a backlog of gigabytes was delivered the news fits into
// one memtable: nothing is written, nothing merged, and the disk stays as full
// as it was, on a bad day with a queue that is empty and takes no mail for want
// of room.
//
// So a Keeper compares what the tables take with what the queue holds. Ids rise,
// and mail leaves about as it came, so most tables of a drained backlog hold
// nothing any more: Tables finds them by the ids that are still alive, and Pebble
// drops them without reading them. When tables of which a part is gone are the
// larger share, and the mail in them little enough, they are merged.
package reclaim
