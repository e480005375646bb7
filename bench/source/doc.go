// Package source loads any SMTP server with mail: it is one side of the bench
// suite, of which bench/sink, where the mail arrives, is the other.
//
// In a closed loop, a number of sessions send one message after the other,
// each as soon as the last was answered: this shows how much a server can
// take. A closed loop slows down with the server, so that a pause of the
// server delays few messages and hides from the percentiles (coordinated
// omission). In an open loop, messages are due at times that do not depend on
// the server, and a message's latency counts from when it was due: this shows
// how a server behaves under a given load, pauses included. Messages that are
// due while every session is busy wait, are counted (Live.Backlog), and their
// wait is part of their latency.
//
// Each message carries a load.Tag and is sent once: a refusal is counted, not
// tried again. The time of each acceptance is kept by the message's number, so
// that a sink's arrivals can be joined with it: Delivered, Lost, Duplicates
// and the time between acceptance and arrival.
//
// The generator shares its machine with what it measures, so a message costs
// it no allocation, no timer, one write per group of commands, and a body cut
// out of a text made beforehand.
//
// Parse makes a Config from words ("sessions=50 size=4KiB"), New a Source of
// it, Run sends the load and gives a load.Result; meanwhile Live tells how it
// goes.
package source
