package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"
)

// plain is the model of a folder: what a person would write down on paper.
type plain struct {
	next     uint32
	messages []plainMessage
}

type plainMessage struct {
	uid   uint32
	flags string
	text  string
}

// plainView is what a session has been told.
type plainView struct {
	v        *View
	folder   string
	f        *plain
	messages []plainMessage
}

// of is the folder that a view shows, nil when it is gone, also if there is
// another of that name.
func (w *model) of(p *plainView) *plain {
	if w.folders[p.folder] != p.f {
		return nil
	}
	return p.f
}

// TestModel does at random what sessions do, against a model on paper, and
// restarts now and then.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &model{t: t, fs: vfs.NewMem(), folders: map[string]*plain{}}
		for _, n := range []string{"INBOX", "Drafts", "Sent", "Trash", "Junk", "Archive"} {
			w.folders[n] = &plain{next: 1}
		}
		w.open()
		defer w.close()
		t.Repeat(map[string]func(*rapid.T){
			"":        w.check,
			"append":  w.append,
			"deliver": w.deliver,
			"select":  w.selectView,
			"update":  w.update,
			"store":   w.store,
			"copy":    w.copy,
			"expunge": w.expunge,
			"create":  w.create,
			"delete":  w.delete,
			"rename":  w.rename,
			"restart": func(*rapid.T) { w.close(); w.open() },
		})
	})
}

type model struct {
	t       *rapid.T
	fs      vfs.FS
	r       *running
	box     *Mailbox
	folders map[string]*plain
	views   []*plainView
	n       int
}

// quiet is the testing.TB that start wants of a rapid test.
type quiet struct {
	testing.TB
	t *rapid.T
}

func (q quiet) Helper()                   {}
func (q quiet) Context() context.Context  { return q.t.Context() }
func (q quiet) Cleanup(func())            {}
func (q quiet) Fatal(args ...any)         { q.t.Fatal(args...) }
func (q quiet) Error(args ...any)         { q.t.Error(args...) }
func (q quiet) Fatalf(s string, a ...any) { q.t.Fatalf(s, a...) }

func (w *model) must(err error) {
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *model) open() {
	w.r = start(quiet{t: w.t}, w.fs, Options{})
	var err error
	w.box, err = w.r.Mailbox(ann)
	w.must(err)
}

func (w *model) close() {
	for _, v := range w.views {
		v.v.Close()
	}
	w.views = nil
	w.texts()
	w.box.Close()
	w.must(w.r.stop())
	w.must(verifyAsleep(w.fs))
}

// texts compares the messages themselves.
func (w *model) texts() {
	for n, f := range w.folders {
		v, err := w.box.Select(n, true)
		w.must(err)
		w.must(v.Each(context.Background(), 1, v.Len(), func(seq int, m *Message) bool {
			if got := textAt(quiet{t: w.t}, v, seq); m.UID != f.messages[seq-1].uid || got != f.messages[seq-1].text {
				w.t.Fatalf("%s %d: %q, want %q", n, m.UID, got, f.messages[seq-1].text)
			}
			return true
		}))
		v.Close()
	}
}

func (w *model) names() []string {
	var all []string
	for n := range w.folders {
		all = append(all, n)
	}
	slices.Sort(all)
	return all
}

// name draws one that exists, or may.
func (w *model) name(t *rapid.T) string {
	return rapid.SampledFrom(append(w.names(), "New", "New/Below")).Draw(t, "name")
}

func (w *model) add(folder, text, flags string) {
	f := w.folders[folder]
	f.messages = append(f.messages, plainMessage{f.next, flags, text})
	f.next++
}

func (w *model) append(t *rapid.T) {
	n := w.name(t)
	w.n++
	text := textOf(w.n)
	flags := rapid.SampledFrom([]string{"", `\Seen`, `\Deleted`, "$Word"}).Draw(t, "flags")
	_, uid, err := w.box.Append(t.Context(), n, NewMessage{Size: int64(len(text)), Body: strings.NewReader(text), Flags: strings.Fields(flags)})
	f := w.folders[n]
	if f == nil {
		if !errors.Is(err, ErrNoFolder) {
			t.Fatal(err)
		}
		return
	}
	w.must(err)
	if uid != f.next {
		t.Fatalf("uid %d, want %d", uid, f.next)
	}
	w.add(n, text, flags)
}

func (w *model) deliver(*rapid.T) {
	w.n++
	text := textOf(w.n)
	for _, err := range w.r.send(quiet{t: w.t}, byte(w.n), text, ann, fmt.Sprintf("c%d@b.test", w.n%3)) {
		w.must(err)
	}
	w.add("INBOX", "Delivered-To: "+ann+"\r\n"+text, "")
}

func (w *model) selectView(t *rapid.T) {
	if len(w.views) > 3 {
		w.views[0].v.Close()
		w.views = w.views[1:]
	}
	n := w.name(t)
	v, err := w.box.Select(n, rapid.Bool().Draw(t, "readonly"))
	if w.folders[n] == nil {
		if !errors.Is(err, ErrNoFolder) {
			t.Fatal(err)
		}
		return
	}
	w.must(err)
	w.views = append(w.views, &plainView{v, n, w.folders[n], slices.Clone(w.folders[n].messages)})
}

func (w *model) view(t *rapid.T) *plainView {
	if len(w.views) == 0 {
		t.Skip("no view")
	}
	return rapid.SampledFrom(w.views).Draw(t, "view")
}

// update lets a session be told, and plays the client that renumbers.
func (w *model) update(t *rapid.T) {
	p := w.view(t)
	f := w.of(p)
	expunge := rapid.Bool().Draw(t, "expunge")
	u := p.v.Update(expunge)
	if u.Gone {
		if f != nil {
			t.Fatal("the folder is there")
		}
		p.v.Close()
		w.views = slices.DeleteFunc(w.views, func(x *plainView) bool { return x == p })
		return
	}
	if f == nil {
		t.Fatal("the folder is gone, and nobody says so")
	}
	var want []plainMessage
	gone := 0
	for _, m := range p.messages {
		i := slices.IndexFunc(f.messages, func(x plainMessage) bool { return x.uid == m.uid })
		switch {
		case i >= 0:
			want = append(want, f.messages[i])
		case !expunge:
			want = append(want, m)
		default:
			gone++
		}
	}
	grown := false
	for _, m := range f.messages {
		if !slices.ContainsFunc(p.messages, func(x plainMessage) bool { return x.uid == m.uid }) {
			want = append(want, m)
			grown = true
		}
	}
	// The client takes out what it is told to.
	for _, seq := range u.Expunged {
		p.messages = slices.Delete(slices.Clone(p.messages), seq-1, seq)
	}
	if len(u.Expunged) != gone || u.Grown != grown || u.Len != len(want) || p.v.Len() != len(want) {
		t.Fatalf("%+v, want %d gone, grown %v, %d", u, gone, grown, len(want))
	}
	for i, m := range p.messages {
		if m.uid != want[i].uid {
			t.Fatalf("after the expunges number %d is %d, want %d", i+1, m.uid, want[i].uid)
		}
		changed := m.flags != want[i].flags
		if told := slices.Contains(u.Flags, i+1); changed && !told {
			t.Fatalf("flags of %d went from %q to %q, told %v", m.uid, m.flags, want[i].flags, u.Flags)
		}
	}
	p.messages = want
	w.same(t, p)
}

// same compares a view with what its session knows.
func (w *model) same(t *rapid.T, p *plainView) {
	for i, m := range p.messages {
		seq := i + 1
		f, _ := p.v.Flags(seq)
		if got := strings.Join(p.v.Names(f), " "); got != m.flags || p.v.UID(seq) != m.uid {
			t.Fatalf("%s: number %d is %d %q, want %d %q", p.folder, seq, p.v.UID(seq), got, m.uid, m.flags)
		}
		if at, ok := p.v.Seq(m.uid); !ok || at != seq || p.v.SeqFrom(m.uid) != seq {
			t.Fatalf("UID %d is at %d", m.uid, at)
		}
	}
}

func (w *model) seqs(t *rapid.T, p *plainView) []int {
	if len(p.messages) == 0 {
		t.Skip("empty")
	}
	return rapid.SliceOfN(rapid.IntRange(1, len(p.messages)), 1, 5).Draw(t, "seqs")
}

// each calls fn for the messages of the folder that a view means.
func (w *model) each(p *plainView, seqs []int, fn func(seq int, m *plainMessage)) {
	f := w.of(p)
	sorted := slices.Clone(seqs)
	slices.Sort(sorted)
	for _, seq := range slices.Compact(sorted) {
		for i := range f.messages {
			if f.messages[i].uid == p.messages[seq-1].uid {
				fn(seq, &f.messages[i])
			}
		}
	}
}

// writable skips what a view cannot do, and looks that it does not.
func (w *model) writable(t *rapid.T, p *plainView, err error) bool {
	switch {
	case p.v.ReadOnly():
		if !errors.Is(err, ErrReadOnly) {
			t.Fatal(err)
		}
	case w.of(p) == nil:
		if !errors.Is(err, ErrNoFolder) {
			t.Fatal(err)
		}
	default:
		w.must(err)
		return true
	}
	return false
}

func (w *model) store(t *rapid.T) {
	p := w.view(t)
	seqs := w.seqs(t, p)
	flags := rapid.SampledFrom([]string{`\Seen`, `\Deleted`, "$Word", `\Seen $Other`}).Draw(t, "flags")
	op := Op(rapid.IntRange(0, 2).Draw(t, "op"))
	_, err := p.v.Store(t.Context(), seqs, op, strings.Fields(flags), 0)
	if !w.writable(t, p, err) {
		return
	}
	w.each(p, seqs, func(seq int, m *plainMessage) {
		now := strings.Fields(m.flags)
		switch op {
		case SetFlags:
			now = strings.Fields(flags)
		case AddFlags:
			now = append(now, strings.Fields(flags)...)
		case DelFlags:
			now = slices.DeleteFunc(now, func(n string) bool { return slices.Contains(strings.Fields(flags), n) })
		}
		f, _ := p.v.Flags(seq)
		m.flags = strings.Join(p.v.Names(f), " ")
		slices.Sort(now)
		got := strings.Fields(m.flags)
		slices.Sort(got)
		if !slices.Equal(slices.Compact(now), got) {
			t.Fatalf("flags %v, want %v", got, now)
		}
		p.messages[seq-1].flags = m.flags
	})
}

func (w *model) copy(t *rapid.T) {
	p := w.view(t)
	seqs := w.seqs(t, p)
	to := w.name(t)
	move := rapid.Bool().Draw(t, "move")
	var c Copied
	var err error
	if move {
		c, err = p.v.Move(t.Context(), seqs, to)
	} else {
		c, err = p.v.Copy(t.Context(), seqs, to)
	}
	target := w.folders[to]
	switch {
	case target == nil:
		if !errors.Is(err, ErrNoFolder) && !(move && p.v.ReadOnly() && errors.Is(err, ErrReadOnly)) {
			t.Fatal(err)
		}
		return
	case move:
		if !w.writable(t, p, err) {
			return
		}
	case w.of(p) == nil:
		if !errors.Is(err, ErrNoFolder) {
			t.Fatal(err)
		}
		return
	}
	w.must(err)
	var from, there []uint32
	var copies []plainMessage
	w.each(p, seqs, func(_ int, m *plainMessage) { copies = append(copies, *m) })
	for _, m := range copies {
		from = append(from, m.uid)
		there = append(there, target.next)
		w.add(to, m.text, m.flags)
		w.sortFlags(to)
	}
	if !slices.Equal(c.From, from) || !slices.Equal(c.To, there) {
		t.Fatalf("%+v, want %v to %v", c, from, there)
	}
	if move {
		w.drop(p.folder, from)
	}
}

// sortFlags: names come in the order of the folder's table of keywords, which the
// model does not keep.
func (w *model) sortFlags(folder string) {
	v, err := w.box.Select(folder, true)
	w.must(err)
	defer v.Close()
	ms := w.folders[folder].messages
	last := &ms[len(ms)-1]
	seq, _ := v.Seq(last.uid)
	f, _ := v.Flags(seq)
	got := v.Names(f)
	want := strings.Fields(last.flags)
	sorted := slices.Clone(got)
	slices.Sort(sorted)
	slices.Sort(want)
	if !slices.Equal(sorted, want) {
		w.t.Fatalf("copy has %v, want %v", got, want)
	}
	last.flags = strings.Join(got, " ")
}

func (w *model) drop(folder string, uids []uint32) {
	f := w.folders[folder]
	f.messages = slices.DeleteFunc(slices.Clone(f.messages), func(m plainMessage) bool { return slices.Contains(uids, m.uid) })
}

func (w *model) expunge(t *rapid.T) {
	p := w.view(t)
	var seqs []int
	if len(p.messages) > 0 && rapid.Bool().Draw(t, "some") {
		seqs = w.seqs(t, p)
	}
	err := p.v.Expunge(t.Context(), seqs)
	if len(p.messages) == 0 && err == nil && p.v.ReadOnly() {
		t.Fatal("expunged a read-only view")
	}
	if !w.writable(t, p, err) {
		return
	}
	if seqs == nil {
		for i := range p.messages {
			seqs = append(seqs, i+1)
		}
	}
	var gone []uint32
	w.each(p, seqs, func(_ int, m *plainMessage) {
		if slices.Contains(strings.Fields(m.flags), `\Deleted`) {
			gone = append(gone, m.uid)
		}
	})
	w.drop(p.folder, gone)
}

func (w *model) create(t *rapid.T) {
	n := w.name(t)
	err := w.box.Create(t.Context(), n, NoUse)
	if w.folders[n] != nil {
		if !errors.Is(err, ErrExists) {
			t.Fatal(err)
		}
		return
	}
	w.must(err)
	w.folders[n] = &plain{next: 1}
	if n == "New/Below" && w.folders["New"] == nil {
		if f, err := w.box.Folder("New"); err != nil || !f.NoSelect {
			w.folders["New"] = &plain{next: 1}
		}
	}
}

func (w *model) delete(t *rapid.T) {
	n := w.name(t)
	err := w.box.Delete(t.Context(), n)
	switch {
	case n == "INBOX":
		if !errors.Is(err, ErrInbox) {
			t.Fatal(err)
		}
	case w.folders[n] == nil:
		if !errors.Is(err, ErrNoFolder) {
			t.Fatal(err)
		}
	default:
		w.must(err)
		delete(w.folders, n)
	}
}

func (w *model) rename(t *rapid.T) {
	from := w.name(t)
	to := rapid.SampledFrom([]string{"Other", "New", "Trash"}).Draw(t, "to")
	before, _ := w.box.Folder(from)
	err := w.box.Rename(t.Context(), from, to)
	if err != nil {
		if w.folders[from] != nil && w.folders[to] == nil && from != to {
			if f, err := w.box.Folder(to); err != nil || !f.NoSelect {
				t.Fatal(err)
			}
		}
		return
	}
	switch {
	case from == "INBOX":
		w.folders[to] = &plain{next: w.folders[from].next, messages: w.folders[from].messages}
		w.folders[from] = &plain{next: w.folders[from].next}
	case before.NoSelect:
	default:
		w.folders[to] = w.folders[from]
		delete(w.folders, from)
	}
	for _, n := range w.names() {
		if below, ok := strings.CutPrefix(n, from+"/"); ok && from != "INBOX" {
			w.folders[to+"/"+below] = w.folders[n]
			delete(w.folders, n)
		}
	}
	// Names have moved under the sessions' feet: that they follow, or are told to
	// go, is for tests of its own.
	for _, p := range w.views {
		p.v.Close()
	}
	w.views = nil
}

// check compares what everybody can ask for at any time.
func (w *model) check(t *rapid.T) {
	var octets, messages int64
	for _, f := range w.box.Folders() {
		p := w.folders[f.Name]
		if f.NoSelect != (p == nil) {
			t.Fatalf("folder %+v", f)
		}
		if p == nil {
			continue
		}
		var size int64
		unseen := 0
		for _, m := range p.messages {
			size += int64(len(m.text))
			if !strings.Contains(m.flags, `\Seen`) {
				unseen++
			}
		}
		if int(f.Messages) != len(p.messages) || f.Octets != size || f.UIDNext != p.next || int(f.Unseen) != unseen {
			t.Fatalf("%+v, want %d messages, %d octets, %d unseen, next %d", f, len(p.messages), size, unseen, p.next)
		}
		octets += size
		messages += int64(len(p.messages))
	}
	for n := range w.folders {
		if _, err := w.box.Folder(n); err != nil {
			t.Fatal(n, err)
		}
	}
	if u := w.box.Usage(); u.Octets != octets || u.Messages != messages {
		t.Fatalf("%+v, want %d in %d", u, octets, messages)
	}
	for _, p := range w.views {
		w.same(t, p)
	}
}
