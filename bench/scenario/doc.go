// Package scenario runs comparisons of mail servers: one load, the same for
// each of them, in turns.
//
// A Scenario is a text file that says what is measured (parse.go tells its
// lines); those in files/ are built in. A Runner takes one scenario and several
// servers (peer.Server), and, round by round, starts each of them with an empty
// spool, lets a source send and a sink receive, watches what the server's
// processes use and what is written to the spool's disk, and gives a
// load.Result for every run. What happens within a run is its Kind: only load,
// or a full queue, a kill in between, a trace of the system calls.
//
// Source and sink are processes of their own, workers (worker.go): DESIGN.md
// says why.
package scenario
