package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	tokenOctets = 32  // of randomness in a token that is made here
	tokenLeast  = 20  // characters of one that an operator wrote
	tokenMost   = 512 // characters
)

// ReadToken reads a token file: its text without surrounding space.
func ReadToken(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, tokenMost+2))
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	if len(token) < tokenLeast || len(token) > tokenMost || strings.ContainsAny(token, " \t\r\n") {
		return "", fmt.Errorf("%s holds no token: one word of %d to %d characters is wanted; delete the file to get a new one", path, tokenLeast, tokenMost)
	}
	return token, nil
}

// makeToken reads the token at path, or makes the file, readable to its owner
// only. Of two processes that make it at once, both end with the same token.
func makeToken(path string, random io.Reader) (string, error) {
	token, err := ReadToken(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return token, err
	}
	var raw [tokenOctets]byte
	if _, err := io.ReadFull(random, raw[:]); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(base64.RawURLEncoding.EncodeToString(raw[:]) + "\n")
	if errClose := f.Close(); err == nil {
		err = errClose
	}
	if err != nil {
		return "", err
	}
	// A link fails where a rename would replace another's token.
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return ReadToken(path)
}

// sameToken compares in a time that tells neither content nor length.
func sameToken(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
