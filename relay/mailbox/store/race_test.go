//go:build race

package store

// every is which crash points and failures are looked at: one in seven, since the
// race detector makes each some ten times slower and looks for something else.
const every = 7
