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

	"tenma/relay/mail"
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

// accountFile is the accounts file as TOML. What is not there has its zero value,
// so that files of older relays are read as they are.
type accountFile struct {
	Version  int           `toml:"version"`
	Secret   string        `toml:"secret"` // base64; makes what unknown users are shown
	Accounts []fileAccount `toml:"account"`
}

type fileAccount struct {
	Address  string    `toml:"address"`
	Created  time.Time `toml:"created"`
	Changed  time.Time `toml:"changed"`            // the password
	Password string    `toml:"password,omitempty"` // none: the external source knows it
	Scram    string    `toml:"scram,omitempty"`

	Quota     int64         `toml:"quota,omitempty"` // octets; 0 and the days below: see mail.Settings
	Forward   []string      `toml:"forward,omitempty"`
	Keep      bool          `toml:"keep,omitempty"`
	TrashDays int           `toml:"trash_days,omitempty"`
	JunkDays  int           `toml:"junk_days,omitempty"`
	POP3Days  int           `toml:"pop3_days,omitempty"`
	SendAs    []string      `toml:"send_as,omitempty"`
	Off       []string      `toml:"off,omitempty"` // protocols
	Vacation  *fileVacation `toml:"vacation,omitempty"`

	AppPasswords []fileAppPassword `toml:"app_password,omitempty"`
}

type fileVacation struct {
	From    time.Time `toml:"from,omitempty"`
	Until   time.Time `toml:"until,omitempty"`
	Subject string    `toml:"subject,omitempty"`
	Text    string    `toml:"text,multiline"`
}

type fileAppPassword struct {
	Name    string    `toml:"name"`
	Created time.Time `toml:"created"`
	Hash    string    `toml:"hash"`
	Scram   string    `toml:"scram"`
	Only    []string  `toml:"only,omitempty"` // protocols; none: all
}

// account is a fileAccount, understood.
type account struct {
	address  smtp.Address
	self     []smtp.Address // canon of address alone, for Resolve
	name     string         // canonical text of address
	text     string         // of the hash; changes with the password; "": the external source knows it
	hash     hash
	scram    sasl.ScramKeys
	settings mail.Settings
	off      []string
	apps     []appPassword
}

// snapshot is the accounts file at one moment; it never changes.
type snapshot struct {
	info     fs.FileInfo // nil: there was no file
	secret   []byte
	accounts map[smtp.Address]*account // by canon of their address
	order    []*account                // as in the file
	first    map[smtp.Domain]*account  // of each domain, by order
	model    *account                  // the first with a password: unknown ones look like it
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
	s := &snapshot{accounts: make(map[smtp.Address]*account, len(af.Accounts)), first: map[smtp.Domain]*account{}}
	if af.Secret != "" {
		secret, err := base64.StdEncoding.DecodeString(af.Secret)
		if err != nil || len(secret) < secretLen {
			return nil, errors.New("secret: not 32 octets in base64")
		}
		s.secret = secret
	}
	for i := range af.Accounts {
		fa := &af.Accounts[i]
		acc, err := fa.understand()
		if err != nil {
			return nil, fmt.Errorf("account %q: %w", fa.Address, err)
		}
		key := canon(acc.address)
		if s.accounts[key] != nil {
			return nil, fmt.Errorf("account %q is there twice", fa.Address)
		}
		s.accounts[key] = acc
		s.order = append(s.order, acc)
		if s.first[acc.address.Domain] == nil {
			s.first[acc.address.Domain] = acc
		}
		if s.model == nil && acc.text != "" {
			s.model = acc
		}
	}
	return s, nil
}

// understand checks one entry.
func (fa *fileAccount) understand() (*account, error) {
	a, err := smtp.ParseMailbox(fa.Address)
	if err != nil || a.Domain == "" {
		return nil, errors.New("not an address")
	}
	acc := &account{address: a, self: []smtp.Address{canon(a)}, name: canonical(a), text: fa.Password, off: fa.Off}
	if fa.Password != "" || fa.Scram != "" {
		if acc.hash, err = parseHash(fa.Password); err != nil {
			return nil, err
		}
		if acc.scram, err = parseScram(fa.Scram); err != nil {
			return nil, err
		}
	}
	if err := checkProtocols(fa.Off); err != nil {
		return nil, fmt.Errorf("off: %w", err)
	}
	if acc.settings, err = fa.settings(); err != nil {
		return nil, err
	}
	if acc.apps, err = fa.appPasswords(); err != nil {
		return nil, err
	}
	return acc, nil
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
