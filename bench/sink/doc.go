// Package sink is an SMTP server that stands for the rest of the Internet in
// load tests of any mail server: it takes messages at next to no cost, counts
// them by their load.Tag, and turns them away as its manners say.
//
// A sink shares the machine with what it measures, so every cycle that it
// saves is one that the mail server gets. A session (session.go) works in the
// one buffer that it reads into: commands are cut from it, the end of the data
// is looked for by scanner (data.go), the tag by heads, in the header only, and
// nothing of a message is kept or copied unless Config.Store asks for it.
// Replies are collected and written when there is nothing left to read. The
// system calls that remain are those that the client's pauses force.
//
// How hosts behave is said in the words of internet.Manner, for all listening
// addresses, for one, or for one recipient domain (manner.go). Package internet
// has the same manners in a Receiver that keeps every message, for tests.
//
// Counts are of one run (tally.go), started anew by Reset. Control (control.go)
// is the same over HTTP, for sources and scenarios in other processes.
package sink
