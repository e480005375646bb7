package auth

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
	"net"
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
	maxLoginFile = 16 << 10    // octets; a line per app password is 2.5 KiB in all
)

// Login is a good login.
type Login struct {
	Time     time.Time
	Protocol string // "smtp", "imap", "pop3"
	Client   string // its address
	App      string // the name of the app password; "": the main one
}

// logins writes down when accounts logged in last: a small file for each, so that
// a login costs no more with many accounts, and none is lost when the relay ends.
// The files are replaced in one step and not synced: after a power failure a
// minute is missing, and that is all that can be.
type logins struct {
	dir string // "": nothing is written
	log *slog.Logger

	noted *table[string, friend] // by file and password, when it was written

	mu         *sync.Mutex // held while a file is replaced
	complained time.Time
}

func newLogins(dir string, log *slog.Logger) logins {
	return logins{dir: dir, log: log, noted: newTable[string, friend](), mu: new(sync.Mutex)}
}

// note writes a login down, unless that was done within the minute.
func (l *logins) note(name string, n Login) {
	if l.dir == "" {
		return
	}
	key := name + "\x00" + n.App
	if f, ok := l.noted.get(key); ok && n.Time.Sub(f.at) < noteEvery {
		return
	}
	l.noted.put(key, friend{at: n.Time})
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.write(name, n); err != nil && n.Time.Sub(l.complained) > complainEach {
		l.complained = n.Time
		l.log.Warn("the last login of an account cannot be written down", "account", name, "err", err)
	}
}

func (l *logins) write(name string, n Login) error {
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return err
	}
	all, _ := l.read(name) // one that cannot be read is made anew
	all = slices.DeleteFunc(all, func(o Login) bool { return o.App == n.App })
	all = append(all, n)
	slices.SortFunc(all, func(a, b Login) int { return b.Time.Compare(a.Time) })
	if len(all) > maxApps+1 { // of app passwords that are gone
		all = all[:maxApps+1]
	}
	f, err := os.CreateTemp(l.dir, ".login-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(formatLogins(all))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), l.path(name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// read gives the last login by each password of an account, the latest first.
// None at all is no error.
func (l *logins) read(name string) ([]Login, error) {
	if l.dir == "" {
		return nil, nil
	}
	f, err := os.Open(l.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxLoginFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxLoginFile {
		return nil, fmt.Errorf("%s is larger than %d octets", f.Name(), maxLoginFile)
	}
	all, err := parseLogins(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return all, nil
}

// forget removes what is known of an account that is gone.
func (l *logins) forget(name string) error {
	if l.dir == "" {
		return nil
	}
	if err := os.Remove(l.path(name)); !errors.Is(err, fs.ErrNotExist) {
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
		} else if err := checkAppName(n.App); err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, lines.Err()
}

// path is the file of an account.
func (l *logins) path(name string) string { return filepath.Join(l.dir, fileName(name)) }

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

// clientText is a client as it stands in logs: an IP address without its port.
func clientText(client net.Addr) string {
	if a, ok := ipOf(client); ok {
		return a.String()
	}
	return "unknown"
}
