package auth

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tenma/relay/wire/smtp"
)

// Errors of the methods that change accounts.
var (
	ErrExists   = errors.New("account exists already")
	ErrUnknown  = errors.New("no such account")
	ErrPassword = errors.New("password cannot be used")
)

// Account is what can be told of an account.
type Account struct {
	Address smtp.Address
	Created time.Time
	Changed time.Time // the password
}

// Add makes an account. Errors wrap ErrExists or ErrPassword, or tell of the
// file.
func (d *Directory) Add(a smtp.Address, password string) error {
	fa, err := d.entry(a, password)
	if err != nil {
		return err
	}
	return d.change(func(af *accountFile) error {
		if af.find(a) >= 0 {
			return fmt.Errorf("%s: %w", a, ErrExists)
		}
		af.Accounts = append(af.Accounts, fa)
		return nil
	})
}

// Passwd gives an account another password. Logins that are remembered with
// the old one end. Errors wrap ErrUnknown or ErrPassword, or tell of the file.
func (d *Directory) Passwd(a smtp.Address, password string) error {
	fa, err := d.entry(a, password)
	if err != nil {
		return err
	}
	return d.change(func(af *accountFile) error {
		i := af.find(a)
		if i < 0 {
			return fmt.Errorf("%s: %w", a, ErrUnknown)
		}
		fa.Address, fa.Created = af.Accounts[i].Address, af.Accounts[i].Created
		af.Accounts[i] = fa
		return nil
	})
}

// Delete removes an account; the mail in its mailbox stays. Errors wrap
// ErrUnknown or tell of the file.
func (d *Directory) Delete(a smtp.Address) error {
	return d.change(func(af *accountFile) error {
		i := af.find(a)
		if i < 0 {
			return fmt.Errorf("%s: %w", a, ErrUnknown)
		}
		af.Accounts = slices.Delete(af.Accounts, i, i+1)
		return nil
	})
}

// List gives the accounts in the order of their addresses.
func (d *Directory) List() ([]Account, error) {
	af, _, err := readFile(d.path)
	if err != nil {
		return nil, err
	}
	all := make([]Account, 0, len(af.Accounts))
	for _, fa := range af.Accounts {
		a, err := smtp.ParseMailbox(fa.Address)
		if err != nil {
			return nil, fmt.Errorf("%s: account %q: %w", d.path, fa.Address, err)
		}
		all = append(all, Account{Address: a, Created: fa.Created, Changed: fa.Changed})
	}
	slices.SortFunc(all, func(a, b Account) int { return strings.Compare(canonical(a.Address), canonical(b.Address)) })
	return all, nil
}

// entry makes the line of an account.
func (d *Directory) entry(a smtp.Address, password string) (fileAccount, error) {
	if a.Domain == "" || a.Domain.IsLiteral() {
		return fileAccount{}, fmt.Errorf("%q: an account is an address with a domain", a)
	}
	switch {
	case password == "":
		return fileAccount{}, fmt.Errorf("%w: it is empty", ErrPassword)
	case len(password) > MaxPassword:
		return fileAccount{}, fmt.Errorf("%w: it is longer than %d octets", ErrPassword, MaxPassword)
	}
	// SASLprep, which clients of SCRAM apply, forbids control characters and
	// what has no fixed form (RFC 4013 section 2.3).
	keys, err := newScram(password, d.cost, d.random)
	if err != nil {
		return fileAccount{}, fmt.Errorf("%w: %w", ErrPassword, err)
	}
	h, err := newHash(password, d.cost, d.random)
	if err != nil {
		return fileAccount{}, err
	}
	now := time.Now().UTC().Truncate(time.Second)
	return fileAccount{Address: a.String(), Created: now, Changed: now, Password: h.String(), Scram: formatScram(keys)}, nil
}

func (af *accountFile) find(a smtp.Address) int {
	want := canonical(a)
	return slices.IndexFunc(af.Accounts, func(fa fileAccount) bool {
		b, err := smtp.ParseMailbox(fa.Address)
		return err == nil && canonical(b) == want
	})
}

// change edits the accounts file under its lock and takes the result over.
func (d *Directory) change(edit func(*accountFile) error) (err error) {
	if d.path == "" {
		return errors.New("no accounts file is configured")
	}
	if err := os.MkdirAll(filepath.Dir(d.path), 0o700); err != nil {
		return err
	}
	unlock, err := lock(d.path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	af, info, err := readFile(d.path)
	if err != nil {
		return err
	}
	if _, err := af.understand(); err != nil {
		return fmt.Errorf("%s: %w", d.path, err) // a damaged file is not written over
	}
	if err := edit(af); err != nil {
		return err
	}
	if af.Secret == "" {
		secret := make([]byte, secretLen)
		if _, err := io.ReadFull(d.random, secret); err != nil {
			return err
		}
		af.Secret = base64.StdEncoding.EncodeToString(secret)
	}
	if err := writeFile(d.path, af, info); err != nil {
		return err
	}
	return d.Reload()
}
