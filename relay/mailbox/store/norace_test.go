//go:build !race

package store

// every is which crash points and failures are looked at: all of them.
const every = 1
