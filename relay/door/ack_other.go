//go:build !linux

package door

// AckNow does nothing: other kernels have no way to ask for it.
func (c *Conn) AckNow() {}
