// Package queue is the stage that decides who is tried, when, and how often.
//
// Shards are goroutines that own lanes and messages without locks. A message
// comes from spool.Engine.Feed, is split by lane, waits as one small item per
// (message, lane), is handed out as a mail.Attempt, and comes back as one
// mail.Outcome per recipient. The queue settles: sent, deferred until the next
// due time, failed or expired with a DSN in the same spool settlement.
package queue
