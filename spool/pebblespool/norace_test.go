//go:build !race

package pebblespool_test

// every is which crash points and failures are looked at: all of them.
const every = 1
