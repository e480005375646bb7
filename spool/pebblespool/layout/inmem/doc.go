// Package inmem is what a spool keeps in memory: fresh mail (Cache), what is
// known of the due index (Due), and ids on their way to the receiver (Queue).
// Nothing here locks; the spool does.
package inmem
