package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"tenma/bench/load"
	"tenma/bench/scenario/verify"
)

// shared is where Linux has a file system in memory.
const shared = "/dev/shm"

// keepMessages makes the folder that the sink keeps messages in, if their
// signatures are to be verified: in memory where that can be, since what is
// written to the disk under test would slow the server's syncs and count as its
// own.
func (t *turn) keepMessages() (err error) {
	if t.Scenario.Verify == 0 {
		return nil
	}
	if t.kept, err = os.MkdirTemp(shared, "tenma-bench-"); err != nil {
		t.kept, err = os.MkdirTemp("", "tenma-bench-")
	}
	if err != nil {
		return fmt.Errorf("a folder for messages to verify: %w", err)
	}
	return nil
}

// keepWords tell the sink of the folder.
func (t *turn) keepWords() []string {
	if t.kept == "" {
		return nil
	}
	return []string{"store=" + t.kept, "store-max=" + strconv.Itoa(t.Scenario.Verify), "store-late"}
}

// verify verifies what was kept and notes in the last result how many signatures
// hold and how many messages have none that does; the latter, and messages that
// should have been kept and are missing, are an error. The folder is removed.
func (t *turn) verify(ctx context.Context, results []load.Result) (err error) {
	if t.kept == "" {
		return nil
	}
	defer func() { err = errors.Join(err, os.RemoveAll(t.kept)) }()
	if len(results) == 0 {
		return nil
	}
	key, err := os.ReadFile(t.Place.file("dkim-" + t.Scenario.DKIM + ".pem"))
	if err != nil {
		return fmt.Errorf("the key to verify with: %w", err)
	}
	// The drivers sign by these names.
	signer, err := verify.NewSigner("src.test", "s1", key)
	if err != nil {
		return err
	}
	c, err := signer.Folder(ctx, t.kept)
	if err != nil {
		return fmt.Errorf("verifying signatures: %w", err)
	}
	x := &results[len(results)-1]
	if missing := min(int64(t.Scenario.Verify), x.Delivered) - c.Verified - c.Bad; missing > 0 {
		c.Bad += missing
		c.First = errors.Join(c.First, fmt.Errorf("%d messages are not among those that the sink kept", missing))
	}
	extra(x, "signatures_verified", float64(c.Verified))
	extra(x, "signatures_bad", float64(c.Bad))
	if c.Bad > 0 {
		return fmt.Errorf("%d messages of %d have no signature that holds, the first: %w", c.Bad, c.Bad+c.Verified, c.First)
	}
	return nil
}
