package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"tenma/relay/mailbox/store/digest"
	"tenma/relay/mailbox/store/flag"
	"tenma/relay/mailbox/store/ledger"
	"tenma/relay/mailbox/store/ledger/blob"
	"tenma/relay/mailbox/store/list"
	"tenma/relay/mailbox/store/name"
)

// View is one session's picture of a folder: a list of messages, numbered from
// 1, that changes only in Update (and by its own Store). It belongs to one
// goroutine, but for Changed.
type View struct {
	b        *box
	f        *folder
	readOnly bool
	changed  chan struct{}

	list     list.List
	keywords flag.Table
	recent   []span   // of UIDs; a view that only reads has its last one open-ended
	hidden   []uint32 // UIDs whose flags others changed before our own Store did

	// box.mu guards these.
	gone   bool // the name is another folder's now
	dirty  bool // \Recent was claimed and that is not written
	closed bool
}

// span are UIDs from first to before end.
type span struct{ first, end uint32 }

// Select opens a view of a folder. The first that is not readOnly sees new
// messages as \Recent. Errors: ErrNoFolder, or what tells of the disk.
func (m *Mailbox) Select(folder string, readOnly bool) (*View, error) {
	clean, _ := name.Clean(folder)
	b := m.b
	v := &View{b: b, readOnly: readOnly, changed: make(chan struct{}, 1)}
	b.mu.Lock()
	v.f = b.folders[clean]
	if v.f == nil || v.f.rec.NoSelect {
		b.mu.Unlock()
		return nil, ErrNoFolder
	}
	v.f.views[v] = true
	b.hold()
	b.s.useList(v.f)
	if err := v.f.want(); err != nil {
		b.mu.Unlock()
		v.Close()
		return nil, err
	}
	v.list, v.keywords = v.f.pub, v.f.shown.Keywords
	v.claim()
	b.mu.Unlock()
	return v, nil
}

// claim takes what is \Recent. box.mu is held.
func (v *View) claim() {
	r := &v.f.rec
	next := v.f.shown.Next
	switch {
	case r.FirstRecent >= next:
	case v.readOnly:
		v.recent = []span{{r.FirstRecent, next}}
		return
	default:
		// One view that sees all that comes has one span, however often it looks.
		if k := len(v.recent) - 1; k >= 0 && v.recent[k].end == r.FirstRecent {
			v.recent[k].end = next
		} else {
			v.recent = append(v.recent, span{r.FirstRecent, next})
		}
		r.FirstRecent = next
		r.Recent = uint32(v.f.cur.Len() - v.f.cur.From(next))
		v.dirty = true
	}
}

// Close gives the view up.
func (v *View) Close() {
	b := v.b
	b.mu.Lock()
	if v.closed {
		b.mu.Unlock()
		return
	}
	v.closed = true
	delete(v.f.views, v)
	if v.dirty && !v.f.dead && !b.removed && b.s.db.Err() == nil {
		// Nobody waits: at worst messages are \Recent once more after a crash.
		c := b.begin()
		c.touch(v.f)
		c.submit(nil)
	}
	n := len(b.folders)
	b.mu.Unlock()
	b.s.idleList(v.f)
	b.release(n)
}

// Folder is the folder as it is now, but for Messages, which is Len.
func (v *View) Folder() Folder {
	v.b.mu.Lock()
	defer v.b.mu.Unlock()
	f := v.f.public()
	f.Messages = uint32(v.Len())
	return f
}

// ReadOnly reports how the view was opened.
func (v *View) ReadOnly() bool { return v.readOnly }

// Len is the number of messages.
func (v *View) Len() int { return v.list.Len() }

// at gives the entry with a number, the zero Entry if there is none.
func (v *View) at(seq int) list.Entry {
	if seq < 1 || seq > v.Len() {
		return list.Entry{}
	}
	return v.list.At(seq - 1)
}

// UID is that of the message with a number, 0 if there is none.
func (v *View) UID(seq int) uint32 { return v.at(seq).UID }

// Size is that of the message with a number, in octets.
func (v *View) Size(seq int) int64 { return int64(v.at(seq).Size) }

// Seq gives the number of the message with exactly this UID.
func (v *View) Seq(uid uint32) (int, bool) {
	i, _, ok := v.list.Find(uid)
	return i + 1, ok
}

// SeqFrom gives the number of the first message with at least this UID, Len+1
// if there is none.
func (v *View) SeqFrom(uid uint32) int { return v.list.From(uid) + 1 }

// Recent reports that this view is the first to see a message (\Recent).
func (v *View) Recent(seq int) bool {
	uid := v.UID(seq)
	return slices.ContainsFunc(v.recent, func(s span) bool { return s.first <= uid && uid < s.end })
}

// Recents is how many messages are \Recent in this view.
func (v *View) Recents() (n int) {
	for _, s := range v.recent {
		n += v.list.From(s.end) - v.list.From(s.first)
	}
	return n
}

// Flags are a message's as Update or this view's Store last told, with its
// mod-sequence.
func (v *View) Flags(seq int) (Flags, uint64) {
	e := v.at(seq)
	return Flags(e.Flags), e.ModSeq
}

// Names are a message's flags as IMAP writes them, \Recent not among them.
func (v *View) Names(f Flags) []string { return v.keywords.Names(f) }

// Keyword gives the bit of a keyword, any case; 0 if the folder has none such.
func (v *View) Keyword(n string) Flags { return v.keywords.Keyword(n) }

// Keywords are those of the folder; not to be changed.
func (v *View) Keywords() []string { return v.keywords }

// Changed receives when there is something to Update, at least once after
// the last.
func (v *View) Changed() <-chan struct{} { return v.changed }

func (v *View) poke() {
	select {
	case v.changed <- struct{}{}:
	default:
	}
}

// Update brings the view up to date. Without expunge nothing is renumbered:
// messages that are gone stay in the list until a later Update (RFC 9051
// section 7.5.1), and new ones are added only behind.
func (v *View) Update(expunge bool) Update {
	v.b.mu.Lock()
	now, keywords := v.f.pub, v.f.shown.Keywords
	gone := v.f.gone || v.gone
	if !gone {
		v.claim()
	}
	v.b.mu.Unlock()
	var u Update
	if u.Gone = gone; gone {
		u.Len, u.Recent = v.Len(), v.Recents()
		return u
	}
	if !expunge {
		now = list.Union(v.list, now)
	}
	list.Diff(v.list, now,
		func(i int) {
			u.Expunged, u.UIDs = append(u.Expunged, i+1-len(u.Expunged)), append(u.UIDs, v.list.At(i).UID)
		},
		func(_, j int) { u.Flags = append(u.Flags, j+1) },
		func(int) { u.Grown = true })
	v.list, v.keywords = now, keywords
	for _, uid := range v.hidden {
		if i, _, ok := now.Find(uid); ok {
			u.Flags = append(u.Flags, i+1)
		}
	}
	if len(v.hidden) > 0 {
		v.hidden = nil
		slices.Sort(u.Flags)
		u.Flags = slices.Compact(u.Flags)
	}
	u.Len, u.Recent = v.Len(), v.Recents()
	if expunge && v.Len() == 0 && !v.readOnly {
		v.recent = nil
	}
	return u
}

// folderID is the number under which the messages are kept now.
func (v *View) folderID() (user, folder uint32) {
	v.b.mu.Lock()
	defer v.b.mu.Unlock()
	return v.b.user.ID, v.f.id
}

func (v *View) place(seq int) ledger.Place {
	user, folder := v.folderID()
	return ledger.Place{User: user, Folder: folder, UID: v.UID(seq)}
}

func (s *Store) info(p ledger.Place) (ledger.Info, error) {
	i, ok, err := s.db.ReadInfo(p)
	if err == nil && !ok {
		err = ErrExpunged
	}
	return i, err
}

func message(e list.Entry, i *ledger.Info) Message {
	return Message{
		UID: e.UID, Flags: Flags(e.Flags), ModSeq: e.ModSeq, Size: int64(e.Size),
		Date: time.Unix(i.Date, 0), Saved: time.Unix(i.Saved, 0), Digest: digest.Decode(i.Digest, i.Prefix),
		kept: &ledger.Info{Blob: i.Blob, BlobSize: i.BlobSize, Prefix: slices.Clone(i.Prefix)},
	}
}

// Message reads one. Its error is ErrExpunged, or tells of the disk.
func (v *View) Message(seq int) (Message, error) {
	i, err := v.b.s.info(v.place(seq))
	if err != nil {
		return Message{}, err
	}
	return message(v.at(seq), &i), nil
}

// eachRun is how many messages Each reads at a time.
const eachRun = 256

// Each calls fn for the messages from number first to last in order until
// it says false, leaving out those that are gone. It reads in runs: memory
// does not grow with the number. fn may keep m.
func (v *View) Each(ctx context.Context, first, last int, fn func(seq int, m *Message) bool) error {
	first, last = max(first, 1), min(last, v.Len())
	user, folder := v.folderID()
	for first <= last {
		if err := ctx.Err(); err != nil {
			return err
		}
		end := min(last, first+eachRun-1)
		type found struct {
			seq int
			m   Message
		}
		run := make([]found, 0, end-first+1)
		seq := first
		err := v.b.s.db.EachInfo(user, folder, v.UID(first), v.UID(end), func(uid uint32, value []byte) (bool, error) {
			e := v.at(seq)
			for e.UID < uid && seq < end {
				seq++
				e = v.at(seq)
			}
			if e.UID != uid {
				return true, nil // came after the last Update
			}
			i, err := ledger.DecodeInfo(value)
			if err == nil {
				run = append(run, found{seq, message(e, &i)})
			}
			return true, err
		})
		if err != nil {
			return err
		}
		for i := range run {
			if !fn(run[i].seq, &run[i].m) {
				return nil
			}
		}
		first = end + 1
	}
	return nil
}

// Open gives the octets. Its error is ErrExpunged, or tells of the disk.
func (v *View) Open(seq int) (Content, error) {
	p := v.place(seq)
	i, err := v.b.s.info(p)
	if err != nil {
		return nil, err
	}
	return v.b.s.open(p, &i)
}

// OpenGiven is Open for a message that Each has just given, with a look-up less.
func (v *View) OpenGiven(m *Message) (Content, error) {
	user, folder := v.folderID()
	return v.b.s.open(ledger.Place{User: user, Folder: folder, UID: m.UID}, m.kept)
}

func (s *Store) open(p ledger.Place, i *ledger.Info) (Content, error) {
	c, err := s.blobs.Open(i.Blob, i.BlobSize, i.Prefix, func() (bool, error) {
		_, ok, err := s.db.ReadInfo(p)
		return ok, err
	})
	if errors.Is(err, blob.ErrGone) {
		return nil, s.missing(p)
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// missing tells a message that has just gone from one whose body is lost.
func (s *Store) missing(p ledger.Place) error {
	if _, err := s.info(p); err != nil {
		return err
	}
	return errors.New("mailbox: the body of a message is missing")
}
