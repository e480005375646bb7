// Package queue is the stage that decides who is tried, when, and how often.
//
// A message comes from spool.Engine.Feed: new, after a restart, or because its
// time has come. Its due recipients are split by domain, each domain has a
// route and by it a lane (a domain whose route is not known waits in a lane of
// its own until it was looked up), and each group becomes a part: a mail.Attempt
// to be. The lane hands its parts to runs, each a call of mail.Deliver that
// carries one after the other. The outcomes that come back are judged, told to
// the mail log, and settled in the spool: sent, deferred until the next due
// time, failed or expired with a DSN in the same settlement.
//
// Shards are goroutines that own lanes (by the hash of the name) and messages
// (by the hash of the id) and write to each other; none waits for another. Of a
// message that has nothing under way only an item of 32 octets is in memory,
// and of one that is due later than Config.Horizon nothing at all.
//
// Read queue.go (Queue, New, Run), shard.go (the loop), ledger.go (a message),
// lane.go, lobby.go and run.go (a lane), settle.go, and for the rules themselves,
// which are plain functions, fate and rest. operate.go is what operators
// can do. DESIGN.md has the reasons.
package queue
