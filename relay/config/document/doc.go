// Package document reads a TOML file key by key, strictly: each value that does
// not fit and each key that nobody asked for is a Problem at its place in the
// file, and reading goes on, so that an operator sees all that is wrong at once.
//
// Parse gives the tree of tables and values with their places. A Reader then
// walks it: Section for a table, and a method of Section for each kind of value.
// A method leaves its target alone when the key is absent; it returns the value,
// so that what only two values together make can be reported at one of them.
package document
