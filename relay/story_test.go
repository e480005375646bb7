package relay_test

import (
	"testing"

	"tenma/relay/relaytest"
)

// TestStories runs every story of testdata/script.
func TestStories(t *testing.T) { relaytest.RunScripts(t, "testdata/script") }
