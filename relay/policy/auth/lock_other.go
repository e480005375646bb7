//go:build !unix

package auth

import (
	"io/fs"
	"os"
)

// lock does nothing where there are no advisory locks: there only one process
// at a time may change accounts.
func lock(string) (unlock func() error, err error) { return func() error { return nil }, nil }

func keepOwner(*os.File, fs.FileInfo) {}
