// Package config reads the relay's one strict TOML file into a typed Config
// made of each stage's own part. An unknown key, a wrong type or a
// contradiction is an error with file, line and column.
package config
