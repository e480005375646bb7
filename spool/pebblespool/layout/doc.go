// Package layout says how a spool lies in its Pebble database: the keys, the
// records, and how entries are read back. It decides nothing and writes nothing.
//
// Each kind of record has a prefix of its own, so that reading a million
// envelopes after a restart never touches a body:
//
//	e | id              envelope, body's key and size; written once
//	s | id              state, due time; only when there is something to say
//	b | body | chunk    the body, 256 KiB a chunk
//	r | body            how many entries share the body, when more than one
//	d | due | id        parked entries by due time (4 octets of seconds)
//	i | word | id       entries by the words to find them by
//	n | id              those words, to take them away again
//	k | hash            dedupe keys: first id and expiry
//	x | expiry | hash   when dedupe keys are forgotten
//	t | body            staged bodies that belong to no entry (yet, or any more)
//	m | ...             the number of this process run
package layout
