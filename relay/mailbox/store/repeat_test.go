package store

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tenma/spool"
)

// A message may be delivered long after it was accepted: an operator held it. A
// repeat of that delivery is one nonetheless, after a restart too; and nothing is
// remembered for ever.
func TestLateDeliveryIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		id := spool.NewID(time.Now(), [10]byte{1})
		deliver := func(r *running) {
			t.Helper()
			to := []*Destination{{Account: ann}, {Account: bob, Recipient: 1}}
			must(t, errors.Join(r.DeliverTo(t.Context(), id, to, 5, func(w io.Writer) error {
				_, err := io.Copy(w, strings.NewReader("text\n"))
				return err
			})...))
		}
		time.Sleep(100 * 24 * time.Hour)
		r := start(t, fs, Options{})
		deliver(r)
		must(t, r.stop())
		r = start(t, fs, Options{})
		time.Sleep(29 * 24 * time.Hour) // with clearing up at the start and every day
		deliver(r)
		if u, err := r.Usage(ann); err != nil || u.Messages != 1 {
			t.Errorf("%d messages, %v", u.Messages, err)
		}
		time.Sleep(49 * time.Hour) // past the hour at which the day is cleared up
		if n := count(r.Store, 'd'); n != 0 {
			t.Errorf("%d deliveries are remembered after 31 days", n)
		}
	})
}
