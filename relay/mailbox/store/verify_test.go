package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tenma/relay/mailbox/store/ledger"
)

// verify reads the whole database of a store, on which nobody works, and looks whether everything fits together:
// counters are the sums of what they count, each message has all its records, each
// reference a message, and each body a reference or the mark that it may have none.
func verify(s *Store) error {
	type key struct{ user, folder uint32 }
	all := func(kind byte, fn func(k, v []byte) error) error {
		return s.db.Scan([]byte{kind}, []byte{kind + 1}, func(k, v []byte) (bool, error) {
			err := fn(bytes.Clone(k), bytes.Clone(v))
			return err == nil, err
		})
	}
	folders, sums := map[key]ledger.Folder{}, map[key]*ledger.Folder{}
	graves := map[key]bool{}
	err := all('f', func(k, v []byte) error {
		f, err := ledger.DecodeFolder(v)
		at := key{user: beUint(k[1:]), folder: ledger.FolderOf(k)}
		folders[at], sums[at] = f, &ledger.Folder{}
		return err
	})
	if err != nil {
		return err
	}
	err = all('x', func(k, _ []byte) error {
		u, f := ledger.GraveOf(k)
		graves[key{u, f}] = true
		if _, ok := folders[key{u, f}]; ok {
			return fmt.Errorf("folder %d/%d lives and is removed", u, f)
		}
		return nil
	})
	if err != nil {
		return err
	}
	items := map[ledger.Place]ledger.Item{}
	err = all('i', func(k, v []byte) error {
		p := ledger.PlaceOf(k)
		it, err := ledger.DecodeItem(v)
		items[p] = it
		sum := sums[key{p.User, p.Folder}]
		if sum == nil {
			if !graves[key{p.User, p.Folder}] {
				return fmt.Errorf("message %v has no folder", p)
			}
			return nil
		}
		f := folders[key{p.User, p.Folder}]
		sum.Messages++
		sum.Octets += int64(it.Size)
		if Flags(it.Flags)&Seen == 0 {
			sum.Unseen++
		}
		if Flags(it.Flags)&Deleted != 0 {
			sum.Deleted++
			sum.DeletedSize += int64(it.Size)
		}
		if p.UID >= f.FirstRecent {
			sum.Recent++
		}
		if p.UID >= f.Next || it.ModSeq > f.ModSeq {
			return fmt.Errorf("message %v: mod-sequence %d, folder %+v", p, it.ModSeq, f)
		}
		return err
	})
	if err != nil {
		return err
	}
	for at, f := range folders {
		sum := sums[at]
		got := []int64{int64(f.Messages), f.Octets, int64(f.Unseen), int64(f.Deleted), f.DeletedSize, int64(f.Recent)}
		want := []int64{int64(sum.Messages), sum.Octets, int64(sum.Unseen), int64(sum.Deleted), sum.DeletedSize, int64(sum.Recent)}
		if !slices.Equal(got, want) {
			return fmt.Errorf("folder %q: counters %v, sums %v", f.Name, got, want)
		}
	}
	err = all('p', func(k, _ []byte) error {
		if p := ledger.PlaceOf(k); !graves[key{p.User, p.Folder}] {
			if _, ok := items[p]; !ok {
				return fmt.Errorf("%v was retrieved and is gone", p)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	users := map[uint32]bool{}
	err = all('a', func(_, v []byte) error {
		u, err := ledger.DecodeUser(v)
		users[u.ID] = true
		return err
	})
	if err != nil {
		return err
	}
	for at := range folders {
		if !users[at.user] {
			return fmt.Errorf("folder %d/%d is nobody's", at.user, at.folder)
		}
	}
	err = all('o', func(k, _ []byte) error {
		if u, note := ledger.NoteOf(k); !users[u] {
			return fmt.Errorf("note %q is nobody's", note)
		}
		return nil
	})
	if err != nil {
		return err
	}
	infos := map[ledger.Place]ledger.Info{}
	bodies := map[ledger.BlobID]int64{}
	err = all('n', func(k, v []byte) error {
		p := ledger.PlaceOf(k)
		i, err := ledger.DecodeInfo(v)
		infos[p] = i
		bodies[i.Blob] = i.BlobSize
		if it, ok := items[p]; !ok && !graves[key{p.User, p.Folder}] || ok && int64(it.Size) != int64(len(i.Prefix))+i.BlobSize {
			return fmt.Errorf("message %v: item %v %+v, info %+v", p, ok, it, i)
		}
		return err
	})
	if err != nil {
		return err
	}
	for p := range items {
		if _, ok := infos[p]; !ok && sums[key{p.User, p.Folder}] != nil {
			return fmt.Errorf("message %v has no info", p)
		}
	}
	refs := 0
	referenced := map[ledger.BlobID]bool{}
	err = all('r', func(k, _ []byte) error {
		var id ledger.BlobID
		copy(id[:], k[1:])
		p := ledger.PlaceOf(k[16:])
		if infos[p].Blob != id {
			return fmt.Errorf("a reference of %v leads nowhere", p)
		}
		referenced[id] = true
		refs++
		return nil
	})
	if err != nil {
		return err
	}
	if refs != len(infos) {
		return fmt.Errorf("%d references, %d messages", refs, len(infos))
	}
	condemned := map[ledger.BlobID]bool{}
	err = all('c', func(k, _ []byte) error {
		condemned[ledger.CondemnedOf(k)] = true
		return nil
	})
	if err != nil {
		return err
	}
	sizes := map[ledger.BlobID]int64{}
	err = all('b', func(k, v []byte) error {
		var id ledger.BlobID
		copy(id[:], k[1:])
		sizes[id] += int64(len(v))
		if !referenced[id] && !condemned[id] {
			return fmt.Errorf("body %x has no reference and is not condemned", id)
		}
		return nil
	})
	for id, size := range bodies {
		if err == nil && sizes[id] != size {
			err = fmt.Errorf("body %x has %d octets, its message says %d", id, sizes[id], size)
		}
	}
	return err
}

// verifyAsleep is verify for a store that is not running.
func verifyAsleep(fs vfs.FS) error {
	s, err := Open(Options{Dir: "/boxes", FS: fs, Bubble: true})
	if err != nil {
		return err
	}
	return errors.Join(verify(s), s.Close())
}

func beUint(b []byte) uint32 {
	return ledger.PlaceOf(append([]byte{0}, append(b[:4:4], make([]byte, 8)...)...)).User
}

// count tells how many records of a kind there are.
func count(s *Store, kind byte) (n int) {
	_ = s.db.Scan([]byte{kind}, []byte{kind + 1}, func(_, _ []byte) (bool, error) { n++; return true, nil })
	return n
}

// dump tells all that a person can see of an account, as text. A mailbox in which
// nothing has happened is like none.
func dump(s *Store, account string) (string, error) {
	if rec, err := s.db.Get(ledger.AccountKey(account)); err != nil || rec == nil {
		return "nobody", err
	}
	m, err := s.Mailbox(account)
	if err != nil {
		return "", err
	}
	defer m.Close()
	var b strings.Builder
	if !slices.ContainsFunc(m.Folders(), func(f Folder) bool { return f.ModSeq > 1 }) && len(m.Folders()) == 6 {
		return "nobody", nil
	}
	used, level, err := s.Level(account)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "uses %d, level %d\n", used, level)
	lower, upper := ledger.Notes(m.b.user.ID)
	if err := s.db.Scan(lower, upper, func(k, v []byte) (bool, error) {
		_, note := ledger.NoteOf(k)
		fmt.Fprintf(&b, "note %s %d\n", note, noteTime(v).Unix())
		return true, nil
	}); err != nil {
		return "", err
	}
	for _, f := range m.Folders() {
		fmt.Fprintf(&b, "%s%s %v %v next %d modseq %d messages %d octets %d\n", f.Name, f.Use, f.Subscribed, f.NoSelect, f.UIDNext, f.ModSeq, f.Messages, f.Octets)
		if f.NoSelect {
			continue
		}
		v, err := m.Select(f.Name, true)
		if err != nil {
			return "", err
		}
		for seq := 1; seq <= v.Len(); seq++ {
			c, err := v.Open(seq)
			if err != nil {
				return "", fmt.Errorf("%s %d: %w", f.Name, v.UID(seq), err)
			}
			var text bytes.Buffer
			if _, err := c.WriteTo(&text); err != nil {
				return "", err
			}
			_ = c.Close()
			msg, err := v.Message(seq)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&b, "  %d %v %q %d %.60q %x\n", msg.UID, v.Names(msg.Flags), msg.Digest.Subject, msg.Size, text.Bytes(), crc32.ChecksumIEEE(text.Bytes()))
		}
		if err := v.EachRetrieved(context.Background(), func(seq int, _ time.Time) bool {
			fmt.Fprintf(&b, "  %d was fetched by POP3\n", v.UID(seq))
			return true
		}); err != nil {
			return "", err
		}
		v.Close()
	}
	return b.String(), nil
}
