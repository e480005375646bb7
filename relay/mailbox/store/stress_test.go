package store

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"
)

// TestManyAtOnce has deliveries, sessions and removals at the same time. What
// each view is told must fit together: UIDs rise, nothing comes twice, and in the
// end all views agree.
func TestManyAtOnce(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	r := start(t, vfs.NewMem(), Options{})
	const each = 60
	var wg sync.WaitGroup
	var delivered atomic.Int64
	for g := range 4 { // deliveries to two, in either order
		wg.Go(func() {
			to := []string{ann, bob}
			if g%2 == 0 {
				slices.Reverse(to)
			}
			for n := range each {
				text := textOf(n)
				var dest []*Destination
				for _, a := range to {
					dest = append(dest, &Destination{Account: a})
				}
				id := idOf(byte(n))
				id[15] = byte(g)
				for _, err := range r.DeliverTo(t.Context(), id, dest, int64(len(text)), func(w io.Writer) error {
					_, err := io.WriteString(w, text)
					return err
				}) {
					if err != nil {
						t.Error(err)
					}
				}
				delivered.Add(1)
			}
		})
	}
	for g := range 4 { // sessions
		wg.Go(func() {
			m, err := r.Mailbox([]string{ann, bob}[g%2])
			if err != nil {
				t.Error(err)
				return
			}
			defer m.Close()
			for range 10 {
				if err := session(t, m, g); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for _, a := range []string{ann, bob} {
		m, err := r.Mailbox(a)
		must(t, err)
		var left int64
		for _, f := range m.Folders() {
			left += int64(f.Messages)
		}
		if u := m.Usage(); u.Messages != left {
			t.Errorf("%+v, %d in folders", u, left)
		}
		m.Close()
	}
	must(t, r.stop())
	must(t, verifyAsleep(r.o.FS))
}

// session looks at INBOX for a while, flags, copies, moves and removes.
func session(t *testing.T, m *Mailbox, g int) error {
	v, err := m.Select("INBOX", false)
	if err != nil {
		return err
	}
	defer v.Close()
	for i := range 10 {
		before := v.Len()
		u := v.Update(i%2 == 0)
		if v.Len() != u.Len || i%2 == 1 && v.Len() < before {
			t.Errorf("%+v, %d before", u, before)
		}
		for seq := 2; seq <= v.Len(); seq++ {
			if v.UID(seq) <= v.UID(seq-1) {
				t.Errorf("UID %d behind %d", v.UID(seq), v.UID(seq-1))
			}
		}
		if v.Len() == 0 {
			continue
		}
		seq := 1 + (i*7+g)%v.Len()
		switch i % 5 {
		case 0:
			_, err = v.Store(t.Context(), []int{seq}, AddFlags, []string{fmt.Sprintf("$k%d", g), `\Deleted`}, 0)
		case 1:
			_, err = v.Copy(t.Context(), []int{seq}, "Archive")
		case 2:
			_, err = v.Move(t.Context(), []int{seq}, "Trash")
		case 3:
			err = v.Expunge(t.Context(), nil)
		case 4:
			var c Content
			if c, err = v.Open(seq); err == nil {
				_, err = c.WriteTo(&strings.Builder{})
			} else if errors.Is(err, ErrExpunged) {
				err = nil
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}
