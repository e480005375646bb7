//go:build !unix

package scenario

import "io/fs"

// Comparisons need Linux; this lets the rest of the program be built.
func ownCPU() float64               { return 0 }
func onDisk(info fs.FileInfo) int64 { return info.Size() }
