package store

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func TestStory(t *testing.T) {
	fs := vfs.NewMem()
	r := start(t, fs, Options{})
	m := r.box(t, "Ann@b.test")
	var names []string
	for _, f := range m.Folders() {
		names = append(names, f.Name+string(f.Use))
		if !f.Subscribed || f.UIDNext != 1 || f.UIDValidity == 0 {
			t.Errorf("%+v", f)
		}
	}
	if want := []string{"INBOX", `Archive\Archive`, `Drafts\Drafts`, `Junk\Junk`, `Sent\Sent`, `Trash\Trash`}; !slices.Equal(names, want) {
		t.Fatal(names)
	}
	v := view(t, m, "inbox")
	for n := range 5 {
		if uid := put(t, m, "INBOX", textOf(n), `\seen`, "$Work"); uid != uint32(n+1) {
			t.Fatal(uid)
		}
	}
	<-v.Changed()
	if u := v.Update(true); u.Len != 5 || !u.Grown || u.Recent != 5 || len(u.Expunged)+len(u.Flags) > 0 {
		t.Fatalf("%+v", u)
	}
	other := view(t, m, "INBOX")
	if other.Len() != 5 || other.Recent(1) || textAt(t, other, 3) != textOf(2) {
		t.Fatal(other.Len())
	}
	msg, err := other.Message(4)
	if err != nil || msg.Digest.Subject != "number 3" || msg.UID != 4 || !msg.Digest.Whole || msg.Digest.Sent.IsZero() {
		t.Fatalf("%+v, %v", msg, err)
	}
	_, err = v.Store(t.Context(), []int{2, 3}, AddFlags, []string{`\Deleted`}, 0)
	must(t, err)
	if u := v.Update(true); len(u.Flags) != 0 {
		t.Errorf("told of its own change: %+v", u)
	}
	if f, _ := v.Flags(2); !slices.Equal(v.Names(f), []string{`\Seen`, `\Deleted`, "$Work"}) {
		t.Error(v.Names(f))
	}
	if u := other.Update(false); !slices.Equal(u.Flags, []int{2, 3}) {
		t.Errorf("%+v", u)
	}
	copied, err := v.Copy(t.Context(), []int{1, 2}, "Trash")
	if err != nil || !slices.Equal(copied.From, []uint32{1, 2}) || !slices.Equal(copied.To, []uint32{1, 2}) {
		t.Fatal(copied, err)
	}
	must(t, v.Expunge(t.Context(), nil))
	if u := other.Update(false); len(u.Expunged) != 0 || u.Len != 5 {
		t.Errorf("%+v", u)
	}
	if _, err := other.Open(2); !errors.Is(err, ErrExpunged) {
		t.Error(err)
	}
	if u := other.Update(true); !slices.Equal(u.Expunged, []int{2, 2}) || u.Len != 3 {
		t.Errorf("%+v", u)
	}
	v.Update(true)
	moved, err := v.Move(t.Context(), []int{3}, "Archive")
	if err != nil || !slices.Equal(moved.From, []uint32{5}) {
		t.Fatal(moved, err)
	}
	usage := m.Usage()
	if usage.Messages != 5 {
		t.Errorf("%+v", usage)
	}
	big := textOf(0) + strings.Repeat("0123456789abcdef", 50_000) + "\r\n"
	put(t, m, "Sent", big)
	for i, err := range r.send(t, 1, textOf(7), ann, "bob@b.test", ann) {
		if err != nil {
			t.Error(i, err)
		}
	}
	for i, err := range r.send(t, 1, textOf(7), ann, "bob@b.test", ann) {
		if err != nil {
			t.Error("again", i, err)
		}
	}
	must(t, r.stop())

	r = start(t, fs, Options{})
	m = r.box(t, ann)
	v = view(t, m, "INBOX")
	if v.Len() != 4 || v.UID(1) != 1 || v.UID(2) != 4 || v.UID(3) != 6 || textAt(t, v, 4) != "Delivered-To: ann@b.test\r\n"+textOf(7) {
		t.Error(v.Len())
	}
	sent := view(t, m, "Sent")
	if textAt(t, sent, 1) != big {
		t.Error("a large message came back otherwise")
	}
	c, err := sent.Open(1)
	must(t, err)
	part := make([]byte, 600_000)
	if n, err := c.ReadAt(part, 100_000); n != len(part) || err != nil || string(part) != big[100_000:700_000] {
		t.Error(n, err)
	}
	if n, err := c.ReadAt(part, int64(len(big))-10); n != 10 || !errors.Is(err, io.EOF) {
		t.Error(n, err)
	}
	c.Close()
	v.Update(true)
	if view(t, m, "Trash").Len() != 2 || view(t, m, "Archive").Len() != 1 {
		t.Error("copies are lost")
	}
}
