//go:build race

package incoming

const raceEnabled = true
