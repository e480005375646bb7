// Package config reads the relay's one strict TOML file into a typed Config
// made of each stage's own part. An unknown key, a wrong type or a
// contradiction is an error with file, line and column; what is legal but
// unwise is a Warning.
//
// Load reads a file, Default gives the configuration without one, Peek is for
// commands that only want to know where things are. Package certificate gives
// the TLS settings that listeners show.
//
// # Why not decode into structs
//
// A decoder stops at the first value of a wrong type and forgets where values
// stood. An operator who edits a file at night wants all errors at once, each
// at its place, also those that only two values together make. So package
// document gives the syntax tree with places; sections are then read key by key,
// and a key is known because somebody asked for it. That list is also what the
// reference page is checked against (Keys).
package config
