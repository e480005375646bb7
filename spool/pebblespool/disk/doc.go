// Package disk stands between Pebble and the file system: Fence keeps errors of
// the disk from Pebble, Reserve watches the room that is left, and Log brings
// what Pebble says into the program's log. Pebble gives the database its options.
package disk
