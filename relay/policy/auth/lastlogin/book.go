package lastlogin

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	noteEvery    = time.Minute // how often the last login of one account is written at most
	complainEach = time.Hour   // that it cannot be
	maxLines     = 33          // of a file: the main password, and as many others as an account has
	maxFile      = 16 << 10    // octets; such lines are under 4 KiB in all
	maxNoted     = 16 << 10    // logins of which is known when they were written; some 2 MiB
)

// Login is a good login. None of its texts has a space in it.
type Login struct {
	Time     time.Time
	Protocol string // "smtp", "imap", "pop3"
	Client   string // its address
	App      string // the name of the app password; "": the main one
}

// Book is the directory of files. Its methods may be called from any goroutine.
type Book struct {
	dir string // "": nothing is written
	log *slog.Logger

	recently sync.Mutex
	noted    map[string]time.Time // by account and password, when it was written

	writing    sync.Mutex // held while a file is replaced
	complained time.Time  // only with writing held
}

// New makes a Book of a directory, which is made when there is something to
// write; "": nothing ever is.
func New(dir string, log *slog.Logger) *Book {
	return &Book{dir: dir, log: log, noted: map[string]time.Time{}}
}

// Note writes a login down, unless that was done within the minute. What fails is
// told to the log alone: a login does not fail for it.
func (b *Book) Note(account string, n Login) {
	if b.dir == "" || !b.due(account+"\x00"+n.App, n.Time) {
		return
	}
	b.writing.Lock()
	defer b.writing.Unlock()
	if err := b.write(account, n); err != nil && n.Time.Sub(b.complained) > complainEach {
		b.complained = n.Time
		b.log.Warn("the last login of an account cannot be written down", "account", account, "err", err)
	}
}

// due reports that a login is to be written, and takes it that it will be.
func (b *Book) due(key string, now time.Time) bool {
	b.recently.Lock()
	defer b.recently.Unlock()
	if at, ok := b.noted[key]; ok && now.Sub(at) < noteEvery {
		return false
	}
	if len(b.noted) >= maxNoted {
		clear(b.noted) // costs a write each, once
	}
	b.noted[key] = now
	return true
}

func (b *Book) write(account string, n Login) error {
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return err
	}
	all, _ := b.Read(account) // one that cannot be read is made anew
	all = slices.DeleteFunc(all, func(o Login) bool { return o.App == n.App })
	all = append(all, n)
	slices.SortFunc(all, func(a, b Login) int { return b.Time.Compare(a.Time) })
	if len(all) > maxLines { // some are of app passwords that are gone
		all = all[:maxLines]
	}
	f, err := os.CreateTemp(b.dir, ".login-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(formatLogins(all))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), b.path(account))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// Read gives the last login by each password of an account, the latest first.
// None at all is no error.
func (b *Book) Read(account string) ([]Login, error) {
	if b.dir == "" {
		return nil, nil
	}
	f, err := os.Open(b.path(account))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s is larger than %d octets", f.Name(), maxFile)
	}
	all, err := parseLogins(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return all, nil
}

// Forget removes what is known of an account that is gone.
func (b *Book) Forget(account string) error {
	if b.dir == "" {
		return nil
	}
	if err := os.Remove(b.path(account)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// formatLogins writes a line for each: the app password or "-", time, protocol,
// client.
func formatLogins(all []Login) []byte {
	var b bytes.Buffer
	for _, n := range all {
		app := n.App
		if app == "" {
			app = "-"
		}
		fmt.Fprintf(&b, "%s %s %s %s\n", app, n.Time.UTC().Format(time.RFC3339), n.Protocol, n.Client)
	}
	return b.Bytes()
}

// parseLogins reads what formatLogins wrote.
func parseLogins(text []byte) ([]Login, error) {
	var all []Login
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		f := strings.Split(lines.Text(), " ")
		if len(f) != 4 {
			return nil, fmt.Errorf("%.80q is no login", lines.Text())
		}
		at, err := time.Parse(time.RFC3339, f[1])
		if err != nil {
			return nil, fmt.Errorf("%.80q: %w", lines.Text(), err)
		}
		n := Login{Time: at.UTC(), Protocol: f[2], Client: f[3], App: f[0]}
		if n.App == "-" {
			n.App = ""
		}
		all = append(all, n)
	}
	return all, lines.Err()
}

// path is the file of an account.
func (b *Book) path(account string) string { return filepath.Join(b.dir, fileName(account)) }

// fileName makes a name of an account one of a file: what is neither a letter nor
// a digit nor one of "@._+-" stands as % and two digits, and so does a first dot.
// Names that are too long for a file are told apart by a hash.
func fileName(name string) string {
	const most = 200
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("@_+-", c) >= 0 || c == '.' && i > 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	if b.Len() <= most {
		return b.String()
	}
	sum := sha256.Sum256([]byte(name))
	return b.String()[:most-2*len(sum)] + "%" + hex.EncodeToString(sum[:])
}
