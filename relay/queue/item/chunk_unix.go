//go:build unix

package item

import (
	"syscall"
	"unsafe"
)

// mapped gives a chunk outside Go's heap, nil if there is none to be had.
//
// Go lets its heap grow to twice what is in use before it collects garbage. Items
// are no garbage, so that on the heap each would have as much again left for it:
// with ten million messages in the queue, hundreds of megabytes. They contain
// no pointers, so nothing in them must be seen by the collector. The memory is
// not given back before the process ends: a slab lives as long.
func mapped() *[chunkSize]Item {
	b, err := syscall.Mmap(-1, 0, int(unsafe.Sizeof([chunkSize]Item{})), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil
	}
	return (*[chunkSize]Item)(unsafe.Pointer(unsafe.SliceData(b)))
}
