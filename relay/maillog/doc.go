// Package maillog is the stage that records mail events: one JSON object a
// line, in the order in which they happened.
//
// The open segment is plain text that tail and log shippers follow; sealed
// segments are compressed with zstd. Log.Record takes an event from any stage;
// Log.Flush returns when everything recorded before is on stable storage, and
// the spool calls it before a removal becomes durable (promise 5 of package
// relay).
package maillog
