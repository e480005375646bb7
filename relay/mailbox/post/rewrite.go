package post

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"tenma/relay/mailbox/post/rules"
	"tenma/relay/wire/smtp"
)

// rewriter keeps the rules.SRS of a Post, whose key is read, or made, when it
// is first needed.
type rewriter struct {
	mu  sync.Mutex
	srs *rules.SRS // guarded by mu
}

// Reverse gives the true sender behind an address of ours that a forward of
// ours made up (rules.SRS). The error tells that there is none, or not now: a
// 550 is due to whoever writes to it. It may be used from any goroutine.
func (p *Post) Reverse(a smtp.Address) (smtp.Address, error) {
	cfg := p.cfg.Load()
	if !rules.IsSRS(a.Local) || cfg.SRSKeyPath == "" || cfg.SRSDomain != "" && a.Domain != cfg.SRSDomain {
		return smtp.Address{}, rules.ErrNotSRS
	}
	srs, err := p.rewriter.get(cfg.SRSKeyPath)
	if err != nil {
		return smtp.Address{}, err
	}
	return srs.Reverse(a, time.Now())
}

// forwardedBy gives the sender with which mail from sender is forwarded by an
// address of domain at. One that is too long to be rewritten stays: some
// receivers will take it, and who does not makes a DSN that reaches its author.
func (p *Post) forwardedBy(sender smtp.Address, at smtp.Domain, now time.Time) (smtp.Address, error) {
	cfg := p.cfg.Load()
	if sender.IsNull() || cfg.SRSKeyPath == "" {
		return sender, nil
	}
	srs, err := p.rewriter.get(cfg.SRSKeyPath)
	if err != nil {
		return sender, err
	}
	if cfg.SRSDomain != "" && sender.Domain != at {
		at = cfg.SRSDomain
	}
	rewritten, err := srs.Forward(sender, at, now)
	if errors.Is(err, rules.ErrLongSender) {
		return sender, nil
	}
	return rewritten, err
}

func (r *rewriter) get(path string) (*rules.SRS, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.srs != nil {
		return r.srs, nil
	}
	key, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = makeKey(path); err == nil {
			key, err = readKey(path) // another process may have been quicker
		}
	}
	if err != nil {
		return nil, fmt.Errorf("key of rewritten senders: %w", err)
	}
	r.srs = rules.NewSRS(key)
	return r.srs, nil
}

func readKey(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != rules.KeySize {
		return nil, fmt.Errorf("%s does not hold %d octets in hexadecimal", path, rules.KeySize)
	}
	return key, nil
}

// makeKey writes a new key that is there whole or not at all, and that nobody
// else can read. One that is there already stays.
func makeKey(path string) error {
	key := make([]byte, rules.KeySize)
	if _, err := io.ReadFull(rand.Reader, key); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".srs-key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(hex.EncodeToString(key) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
