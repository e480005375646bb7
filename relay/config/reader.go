package config

import (
	"path/filepath"
	"time"

	"tenma/relay/config/document"
	"tenma/relay/policy/dkim"
	"tenma/relay/policy/dkim/rotation"
	"tenma/relay/wire/smtp"
)

// The words of a document, which every section's reader uses.
type (
	section = document.Section
	value   = document.Value
	place   = document.Place
)

// Problem is something wrong with a configuration, at a place in its file.
type Problem = document.Problem

// Warning is a Problem that stops nothing: legal but unwise.
type Warning = document.Warning

// Errors are all problems of one file, in the order of their places.
type Errors = document.Errors

// world is what reading a configuration takes from outside; tests give their own.
type world struct {
	hostname func() (string, error)
	getenv   func(string) (string, bool)
	readFile func(path string) ([]byte, error) // at most maxInput octets of a regular file
	exists   func(path string) bool
	open     func(path string) bool // everyone may read the file
	inspect  func(dkim.Key) dkim.Info
	keys     func(dir string) (map[smtp.Domain][]rotation.File, error)
	now      time.Time
	// peek leaves alone the files that the configuration names, and the
	// environment: nothing is wrong with what is not looked at.
	peek bool
}

// reader collects what is wrong while sections are read one by one.
type reader struct {
	*document.Reader
	world
	dir       string // absolute, of the file: relative paths start in it or in dataDir
	dataDir   string
	relays    bool    // some listener lets someone relay
	elsewhere []place // of recipients, by Config.Elsewhere
}

// path makes a path absolute: relative ones start in the data directory. For a
// file that is read (an input), one beside the configuration file is taken when
// the data directory has none.
func (r *reader) path(name string, input bool) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	inData := filepath.Join(r.dataDir, name)
	if beside := filepath.Join(r.dir, name); input && !r.exists(inData) && r.exists(beside) {
		return beside
	}
	return inData
}
