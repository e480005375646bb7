package spooltest

import (
	"testing"
	"testing/synctest"
)

// Run runs the suite. store makes a new, empty store for each test, inside the
// test's bubble.
func Run(t *testing.T, store func(t *testing.T) Store) {
	for _, c := range []struct {
		name string
		test func(*rig)
	}{
		{"commit", testCommit},
		{"known id", testKnownID},
		{"all or none", testAllOrNone},
		{"dedupe", testDedupe},
		{"dedupe in a group", testDedupeInGroup},
		{"share", testShare},
		{"share in one call", testShareInCall},
		{"stage", testStage},
		{"stage discarded", testStageDiscarded},
		{"settle", testSettle},
		{"settle with drafts", testSettleDrafts},
		{"settle nothing", testSettleNothing},
		{"feed by age after a restart", testFeedRestart},
		{"feed again", testFeedAgain},
		{"feed blocked", testFeedBlocked},
		{"park", testPark},
		{"park across a restart", testParkRestart},
		{"park below the mark", testParkBelowMark},
		{"park from the start", testParkDraft},
		{"unpark", testUnpark},
		{"settle before it was read", testSettleUnread},
		{"find", testFind},
		{"scan", testScan},
		{"scan while mail comes", testScanMoving},
		{"open and remove", testOpenRemove},
		{"open large and remove", testOpenLargeRemove},
		{"stats", testStats},
		{"end", testEnd},
		{"no run", testNoRun},
		{"many at once", testConcurrent},
		{"refused drafts", testRefused},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, store(t))
				defer r.stop()
				c.test(r)
			})
		})
	}
	for seed := range uint64(3) {
		t.Run("model", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, store(t))
				defer r.stop()
				testModel(r, seed)
			})
		})
	}
}
