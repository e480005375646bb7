// Package relaytest runs a whole relay in one process for tests: a fake
// network, DNS from a zone text, receivers with manners, and the spool on a
// file system in memory that can be crashed. Everything runs on the clock of a
// testing/synctest bubble, so five days pass in milliseconds.
//
// World is the toolbox; RunScripts runs end-to-end stories written as text
// archives (script.go lists their commands).
package relaytest
