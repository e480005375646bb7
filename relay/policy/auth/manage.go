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

	"tenma/relay/mail"
	"tenma/relay/policy/auth/lastlogin"
	"tenma/relay/wire/smtp"
)

// Errors of the methods that change accounts.
var (
	ErrExists   = errors.New("account exists already")
	ErrUnknown  = errors.New("no such account")
	ErrPassword = errors.New("password cannot be used")
	ErrNoApp    = errors.New("no such app password")
)

// Login is a good login.
type Login = lastlogin.Login

// Account is what can be told of an account.
type Account struct {
	Address  smtp.Address
	Created  time.Time
	Changed  time.Time // the password
	External bool      // it has no password here
	Settings mail.Settings
	Off      []string // protocols that are switched off
	Apps     []AppPassword
	Last     *Login // nil: none yet
}

// AppPassword is what can be told of an app password.
type AppPassword struct {
	Name    string
	Created time.Time
	Only    []string // protocols; none: all
	Last    *Login   // nil: none yet
}

// Add makes an account. Errors wrap ErrExists or ErrPassword, or tell of the
// file.
func (d *Directory) Add(a smtp.Address, password string) error {
	fa, err := d.entry(a, password)
	if err != nil {
		return err
	}
	return d.add(fa)
}

// AddExternal makes an account whose password only an external source knows, so
// that there is a place for its settings. Errors are those of Add.
func (d *Directory) AddExternal(a smtp.Address) error {
	fa, err := newEntry(a)
	if err != nil {
		return err
	}
	return d.add(fa)
}

func (d *Directory) add(fa fileAccount) error {
	return d.change(func(af *accountFile) error {
		if a, err := smtp.ParseMailbox(fa.Address); err != nil || af.find(a) >= 0 {
			return fmt.Errorf("%s: %w", fa.Address, ErrExists)
		}
		af.Accounts = append(af.Accounts, fa)
		return nil
	})
}

// Passwd gives an account another password. Logins that are remembered with
// the old one end; app passwords stay. Errors wrap ErrUnknown or ErrPassword, or
// tell of the file.
func (d *Directory) Passwd(a smtp.Address, password string) error {
	fresh, err := d.entry(a, password)
	if err != nil {
		return err
	}
	return d.edit(a, func(fa *fileAccount) error {
		fa.Changed, fa.Password, fa.Scram = fresh.Changed, fresh.Password, fresh.Scram
		return nil
	})
}

// Delete removes an account; the mail in its mailbox stays. Errors wrap
// ErrUnknown or tell of the file.
func (d *Directory) Delete(a smtp.Address) error {
	err := d.change(func(af *accountFile) error {
		i := af.find(a)
		if i < 0 {
			return fmt.Errorf("%s: %w", a, ErrUnknown)
		}
		af.Accounts = slices.Delete(af.Accounts, i, i+1)
		return nil
	})
	if err != nil {
		return err
	}
	return d.logins.Forget(canonical(a))
}

// Change edits the settings of an account. Errors wrap ErrUnknown or ErrSetting,
// are the edit's, or tell of the file.
func (d *Directory) Change(a smtp.Address, edit func(*mail.Settings) error) error {
	return d.edit(a, func(fa *fileAccount) error {
		s, err := fa.settings()
		if err != nil {
			return err
		}
		if err := edit(&s); err != nil {
			return err
		}
		if err := check(fa.Address, &s); err != nil {
			return err
		}
		fa.take(&s)
		return nil
	})
}

// SwitchOff says by which protocols an account cannot log in. Errors wrap
// ErrUnknown or ErrSetting, or tell of the file.
func (d *Directory) SwitchOff(a smtp.Address, protocols []string) error {
	if err := checkProtocols(protocols); err != nil {
		return fmt.Errorf("%w: %w", ErrSetting, err)
	}
	return d.edit(a, func(fa *fileAccount) error {
		fa.Off = protocols
		return nil
	})
}

// AddAppPassword makes a password for an account and gives it; it is told this
// once. only are the protocols that it is for, none for all. Errors wrap
// ErrUnknown, ErrExists or ErrSetting, or tell of the file.
func (d *Directory) AddAppPassword(a smtp.Address, name string, only []string) (password string, err error) {
	if err := checkAppName(name); err != nil {
		return "", err
	}
	if err := checkProtocols(only); err != nil {
		return "", fmt.Errorf("%w: %w", ErrSetting, err)
	}
	password, f, err := newAppPassword(name, only, d.random)
	if err != nil {
		return "", err
	}
	err = d.edit(a, func(fa *fileAccount) error {
		switch {
		case fa.app(name) >= 0:
			return fmt.Errorf("app password %q of %s: %w", name, a, ErrExists)
		case len(fa.AppPasswords) >= maxApps:
			return fmt.Errorf("%w: %s has %d app passwords, delete one first", ErrSetting, a, maxApps)
		}
		fa.AppPasswords = append(fa.AppPasswords, f)
		return nil
	})
	if err != nil {
		return "", err
	}
	return password, nil
}

// DeleteAppPassword ends an app password. Errors wrap ErrUnknown, ErrNoApp or
// tell of the file.
func (d *Directory) DeleteAppPassword(a smtp.Address, name string) error {
	return d.edit(a, func(fa *fileAccount) error {
		i := fa.app(name)
		if i < 0 {
			return fmt.Errorf("%s: %w %q", a, ErrNoApp, name)
		}
		fa.AppPasswords = slices.Delete(fa.AppPasswords, i, i+1)
		return nil
	})
}

func (fa *fileAccount) app(name string) int {
	return slices.IndexFunc(fa.AppPasswords, func(f fileAppPassword) bool { return f.Name == name })
}

// Account gives one account. Errors wrap ErrUnknown or tell of the file.
func (d *Directory) Account(a smtp.Address) (Account, error) {
	af, _, err := readFile(d.path)
	if err != nil {
		return Account{}, err
	}
	i := af.find(a)
	if i < 0 {
		return Account{}, fmt.Errorf("%s: %w", a, ErrUnknown)
	}
	return d.tell(&af.Accounts[i])
}

// List gives the accounts in the order of their addresses.
func (d *Directory) List() ([]Account, error) {
	af, _, err := readFile(d.path)
	if err != nil {
		return nil, err
	}
	all := make([]Account, 0, len(af.Accounts))
	for i := range af.Accounts {
		acc, err := d.tell(&af.Accounts[i])
		if err != nil {
			return nil, err
		}
		all = append(all, acc)
	}
	slices.SortFunc(all, func(a, b Account) int { return strings.Compare(canonical(a.Address), canonical(b.Address)) })
	return all, nil
}

// tell puts together what is known of an account.
func (d *Directory) tell(fa *fileAccount) (Account, error) {
	acc, err := fa.understand()
	if err != nil {
		return Account{}, fmt.Errorf("%s: account %q: %w", d.path, fa.Address, err)
	}
	all := Account{Address: acc.address, Created: fa.Created, Changed: fa.Changed, External: acc.text == "", Settings: acc.settings, Off: acc.off}
	logins, _ := d.logins.Read(acc.name) // what cannot be read will be written anew
	if len(logins) > 0 {
		all.Last = &logins[0]
	}
	for _, f := range fa.AppPasswords {
		app := AppPassword{Name: f.Name, Created: f.Created, Only: f.Only}
		// One of that name may have been there before.
		if i := slices.IndexFunc(logins, func(l Login) bool { return l.App == f.Name && !l.Time.Before(f.Created) }); i >= 0 {
			app.Last = &logins[i]
		}
		all.Apps = append(all.Apps, app)
	}
	return all, nil
}

// newEntry makes the line of an account, without a password.
func newEntry(a smtp.Address) (fileAccount, error) {
	if a.Domain == "" || a.Domain.IsLiteral() {
		return fileAccount{}, fmt.Errorf("%q: an account is an address with a domain", a)
	}
	now := time.Now().UTC().Truncate(time.Second)
	return fileAccount{Address: a.String(), Created: now, Changed: now}, nil
}

// entry makes the line of an account.
func (d *Directory) entry(a smtp.Address, password string) (fileAccount, error) {
	fa, err := newEntry(a)
	if err != nil {
		return fileAccount{}, err
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
	fa.Password, fa.Scram = h.String(), formatScram(keys)
	return fa, nil
}

// edit changes one account.
func (d *Directory) edit(a smtp.Address, fn func(*fileAccount) error) error {
	return d.change(func(af *accountFile) error {
		i := af.find(a)
		if i < 0 {
			return fmt.Errorf("%s: %w", a, ErrUnknown)
		}
		return fn(&af.Accounts[i])
	})
}

func (af *accountFile) find(a smtp.Address) int {
	want := canon(a)
	return slices.IndexFunc(af.Accounts, func(fa fileAccount) bool {
		b, err := smtp.ParseMailbox(fa.Address)
		return err == nil && canon(b) == want
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
	if _, err := af.understand(); err != nil {
		return err // nor is a file damaged
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
