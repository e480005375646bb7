package auth

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/pelletier/go-toml/v2"

	"tenma/relay/wire/sasl"
	"tenma/relay/wire/smtp"
)

const (
	fileVersion = 1
	maxFile     = 64 << 20 // octets; 200,000 accounts
	secretLen   = 32
)

// fileHead stands at the top of the accounts file.
const fileHead = `# Accounts of this relay. "tenma user" writes this file; the relay notices.
# It holds password hashes: keep it to yourself.

`

// accountFile is the accounts file as TOML.
type accountFile struct {
	Version  int           `toml:"version"`
	Secret   string        `toml:"secret"` // base64; makes what unknown users are shown
	Accounts []fileAccount `toml:"account"`
}

type fileAccount struct {
	Address  string    `toml:"address"`
	Created  time.Time `toml:"created"`
	Changed  time.Time `toml:"changed"` // the password
	Password string    `toml:"password"`
	Scram    string    `toml:"scram"`
}

// account is a fileAccount, understood.
type account struct {
	address smtp.Address
	name    string // canonical text of address
	text    string // of the hash; changes with the password
	hash    hash
	scram   sasl.ScramKeys
}

// snapshot is the accounts file at one moment; it never changes.
type snapshot struct {
	info     fs.FileInfo // nil: there was no file
	secret   []byte
	accounts map[string]*account
	order    []*account // as in the file
}

// readFile reads and checks the accounts file. A missing one has no accounts.
func readFile(path string) (*accountFile, fs.FileInfo, error) {
	f, err := os.Open(path)
	if path == "" || errors.Is(err, fs.ErrNotExist) {
		return &accountFile{Version: fileVersion}, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, nil, err
	}
	if len(text) > maxFile {
		return nil, nil, fmt.Errorf("%s is larger than %d octets", path, maxFile)
	}
	af, err := parseFile(text)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return af, info, nil
}

func parseFile(text []byte) (*accountFile, error) {
	af := &accountFile{}
	dec := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	if err := dec.Decode(af); err != nil {
		return nil, err
	}
	if af.Version != fileVersion {
		return nil, fmt.Errorf("version %d is unknown", af.Version)
	}
	return af, nil
}

// understand checks each entry.
func (af *accountFile) understand() (*snapshot, error) {
	s := &snapshot{accounts: make(map[string]*account, len(af.Accounts))}
	if af.Secret != "" {
		secret, err := base64.StdEncoding.DecodeString(af.Secret)
		if err != nil || len(secret) < secretLen {
			return nil, errors.New("secret: not 32 octets in base64")
		}
		s.secret = secret
	}
	for _, fa := range af.Accounts {
		a, err := smtp.ParseMailbox(fa.Address)
		if err != nil || a.Domain == "" {
			return nil, fmt.Errorf("account %q: not an address", fa.Address)
		}
		acc := &account{address: a, name: canonical(a), text: fa.Password}
		if acc.hash, err = parseHash(fa.Password); err != nil {
			return nil, fmt.Errorf("account %q: %w", fa.Address, err)
		}
		if acc.scram, err = parseScram(fa.Scram); err != nil {
			return nil, fmt.Errorf("account %q: %w", fa.Address, err)
		}
		if s.accounts[acc.name] != nil {
			return nil, fmt.Errorf("account %q is there twice", fa.Address)
		}
		s.accounts[acc.name] = acc
		s.order = append(s.order, acc)
	}
	return s, nil
}

// writeFile replaces the accounts file in one step; after a crash there is
// the old one or the new one.
func writeFile(path string, af *accountFile, old fs.FileInfo) error {
	text, err := toml.Marshal(af)
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".accounts-*") // mode 0600
	if err != nil {
		return err
	}
	if old == nil {
		old, _ = os.Stat(dir)
	}
	keepOwner(f, old)
	_, err = f.WriteString(fileHead + string(text))
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
