// Package spooltest is the suite that each spool.Engine passes.
//
// Run checks the contract: what Commit, Settle, Stage, Feed, Find and the rest
// promise, in calm and with many goroutines, across orderly restarts, and
// against a model that is driven at random. Time is that of a
// testing/synctest bubble. How an engine survives a crash depends on what it
// stands on, so those tests are the engine's own; Same and Text help them.
package spooltest
