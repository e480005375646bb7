package returns

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	// KeySize is the length of a key in octets, that of the hash (RFC 2104 section 3).
	KeySize = 32
	// MaxKeys bounds the keys of one file: each costs a hash for every forged token.
	MaxKeys = 8
)

// LoadKeys reads the keys of a file: one a line, in hexadecimal, the newest first.
// That one signs; the others verify what they signed earlier, until it has expired.
// Empty lines and those that begin with # say nothing. A file that does not exist
// is made, with one key out of random, for nobody else to read.
func LoadKeys(path string, random io.Reader) ([][]byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = makeKeys(path, random); err == nil {
			text, err = os.ReadFile(path) // another process may have been quicker
		}
	}
	if err != nil {
		return nil, fmt.Errorf("keys of return paths: %w", err)
	}
	keys, err := parseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("keys of return paths: %s: %w", path, err)
	}
	return keys, nil
}

func parseKeys(text []byte) ([][]byte, error) {
	var keys [][]byte
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		key, err := hex.DecodeString(line)
		if err != nil || len(key) != KeySize {
			return nil, fmt.Errorf("line %d is not a key of %d octets in hexadecimal", n, KeySize)
		}
		keys = append(keys, key)
	}
	switch {
	case len(keys) == 0:
		return nil, errors.New("there is no key in it")
	case len(keys) > MaxKeys:
		return nil, fmt.Errorf("there are %d keys in it, more than %d", len(keys), MaxKeys)
	}
	return keys, nil
}

// makeKeys writes a file with a new key that is there whole or not at all. One
// that is there already stays.
func makeKeys(path string, random io.Reader) error {
	key := make([]byte, KeySize)
	if _, err := io.ReadFull(random, key); err != nil {
		return err
	}
	var text bytes.Buffer
	text.WriteString("# Keys of signed return paths, newest first: the first signs, all verify.\n")
	text.WriteString(hex.EncodeToString(key) + "\n")
	f, err := os.CreateTemp(filepath.Dir(path), ".returns-keys-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text.Bytes())
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
