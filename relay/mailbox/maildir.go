package mailbox

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

const writeCategory vfs.DiskWriteCategory = "mailbox"

// write brings a message into one mailbox, unless it is there.
//
// The file's name derives from the message and the recipient, so a delivery
// that a crash repeats finds the earlier copy. What cannot be found again is a
// copy that its reader has deleted in the meantime.
func (s *Store) write(ctx context.Context, a *mail.Attempt, to int, box smtp.Address) error {
	domain, local, err := Dir(box)
	if err != nil {
		return err
	}
	dir, err := s.maildir(domain, local)
	if err != nil {
		return err
	}
	if err = s.place(ctx, dir, a, to, box); errors.Is(err, fs.ErrNotExist) {
		s.ready.Delete(dir) // somebody removed the account's directory
	}
	return err
}

// place puts the file into new, by way of tmp.
func (s *Store) place(ctx context.Context, dir string, a *mail.Attempt, to int, box smtp.Address) error {
	name := s.name(a, to)
	there, err := s.delivered(dir, name, a)
	if err != nil {
		return err
	}
	if !there {
		tmp := s.join(dir, "tmp", name+"."+strconv.FormatUint(s.tmp.Add(1), 10))
		if err := s.fill(ctx, tmp, a, box); err != nil {
			return errors.Join(err, s.remove(tmp))
		}
		if err := s.deps.FS.Rename(tmp, s.join(dir, "new", name)); err != nil {
			return errors.Join(err, s.remove(tmp))
		}
	}
	// Also for a copy that was there: its writer may have died before this.
	return s.syncDir(s.join(dir, "new"))
}

// name gives the file's name: time of acceptance, message and recipient, host.
func (s *Store) name(a *mail.Attempt, to int) string {
	return strconv.FormatInt(a.ID.Time().Unix(), 10) + "." + a.ID.String() + "R" + strconv.Itoa(to) + "." + escape(s.cfg.Hostname)
}

// delivered reports whether the message is in the mailbox. In new it has its
// name; a reader moves it to cur and adds flags behind a colon. That directory
// may be large, so it is searched only for messages that an earlier run of the
// relay may have delivered.
func (s *Store) delivered(dir, name string, a *mail.Attempt) (bool, error) {
	if _, err := s.deps.FS.Stat(s.join(dir, "new", name)); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err == nil, err
	}
	if a.Number <= 1 && a.Envelope.Received.After(s.started) {
		return false, nil
	}
	names, err := s.deps.FS.List(s.join(dir, "cur"))
	if err != nil {
		return false, err
	}
	for _, n := range names {
		if n == name || strings.HasPrefix(n, name+":") {
			return true, nil
		}
	}
	return false, nil
}

// fill writes the file and syncs it.
func (s *Store) fill(ctx context.Context, path string, a *mail.Attempt, box smtp.Address) error {
	body, err := a.Open(ctx)
	if err != nil {
		return err
	}
	defer body.Close()
	f, err := s.deps.FS.Create(path, writeCategory)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 64<<10)
	// RFC 5321 section 4.4: final delivery records the reverse path.
	_, _ = w.WriteString("Return-Path: <" + oneLine(a.Envelope.Sender.String()) + ">\r\nDelivered-To: " + oneLine(box.String()) + "\r\n")
	_, _ = w.Write(a.Header) // a bufio.Writer remembers its first error for Flush
	_, err = body.WriteTo(w)
	err = errors.Join(err, w.Flush())
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// oneLine keeps an address inside its field. ParseMailbox lets no control
// through, but what was stored may be older than its rules.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}

// maildir gives the path of a Maildir. At first use it makes what is missing
// and syncs the directories on the way: a message is no safer than the way to
// it. That holds too for what is there already, since an earlier run may have
// died between making and syncing.
func (s *Store) maildir(domain, local string) (string, error) {
	dir := s.join(s.cfg.Dir, domain, local)
	if _, ok := s.ready.Load(dir); ok {
		return dir, nil
	}
	for _, sub := range []string{"tmp", "new", "cur"} {
		if err := s.deps.FS.MkdirAll(s.join(dir, sub), 0o700); err != nil {
			return "", err
		}
	}
	for _, d := range []string{dir, s.deps.FS.PathDir(dir), s.cfg.Dir, s.deps.FS.PathDir(s.cfg.Dir)} {
		if err := s.syncDir(d); err != nil {
			return "", err
		}
	}
	s.ready.Store(dir, true)
	return dir, nil
}

func (s *Store) join(elem ...string) string { return s.deps.FS.PathJoin(elem...) }

// remove is for what failed: a file that is not there is no further trouble.
func (s *Store) remove(path string) error {
	if err := s.deps.FS.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (s *Store) syncDir(dir string) error {
	d, err := s.deps.FS.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
