//go:build !unix

package item

// mapped has no such memory here: the heap will do.
func mapped() *[chunkSize]Item { return nil }
