package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"tenma/relay/wire/sasl"
)

// Protocols are those that an account logs in by.
func Protocols() []string { return []string{"smtp", "imap", "pop3"} }

func checkProtocols(list []string) error {
	for i, p := range list {
		if !slices.Contains(Protocols(), p) {
			return fmt.Errorf("%q is none of %s", p, strings.Join(Protocols(), ", "))
		}
		if slices.Contains(list[:i], p) {
			return fmt.Errorf("%q is there twice", p)
		}
	}
	return nil
}

// An app password is made here, of 16 letters and digits that are not mistaken
// for each other: 32 to the 16th power, 80 bits. Nobody guesses it, so that it
// needs no slow hash: even a thousand graphics cards that try 10^10 a second each
// take a thousand years. The salt keeps one computation from serving two hashes.
const (
	appAlphabet = "abcdefghijkmnpqrstuvwxyz23456789" // without l, o, 0, 1
	appLen      = 16
	appGroup    = 4
	maxApps     = 32 // of an account

	// The keys of SCRAM want some rounds all the same; the least that RFC 7677
	// section 4 allows is enough, by the above.
	appIterations = 4096
)

// appPassword is one more password of an account, under a name: for a program or
// device that should be shut out alone some day.
type appPassword struct {
	name  string
	salt  []byte
	sum   []byte // HMAC-SHA-256, keyed with salt, of the 16 characters
	scram sasl.ScramKeys
	only  []string // protocols; none: all
}

const appScheme = "$hmac-sha256$"

// newAppPassword makes one up.
func newAppPassword(name string, only []string, random io.Reader) (password string, fa fileAppPassword, err error) {
	raw := make([]byte, appLen+saltLen)
	if _, err := io.ReadFull(random, raw); err != nil {
		return "", fa, err
	}
	var plain, shown strings.Builder
	for i, b := range raw[:appLen] {
		c := appAlphabet[b%byte(len(appAlphabet))] // 256 is a multiple of 32: no bias
		if plain.WriteByte(c); i > 0 && i%appGroup == 0 {
			shown.WriteByte('-')
		}
		shown.WriteByte(c)
	}
	// What SCRAM clients compute on is what was printed.
	keys, err := newScram(shown.String(), Cost{Iterations: appIterations}, random)
	if err != nil {
		return "", fa, err
	}
	salt := raw[appLen:]
	b := base64.RawStdEncoding
	fa = fileAppPassword{
		Name: name, Created: time.Now().UTC().Truncate(time.Second), Only: only, Scram: formatScram(keys),
		Hash: appScheme + b.EncodeToString(salt) + "$" + b.EncodeToString(appSum(salt, plain.String())),
	}
	return shown.String(), fa, nil
}

func appSum(salt []byte, plain string) []byte {
	m := hmac.New(sha256.New, salt)
	m.Write([]byte(plain))
	return m.Sum(nil)
}

// appPasswords reads those of an entry.
func (fa *fileAccount) appPasswords() ([]appPassword, error) {
	if len(fa.AppPasswords) > maxApps {
		return nil, fmt.Errorf("more than %d app passwords", maxApps)
	}
	var all []appPassword
	for _, f := range fa.AppPasswords {
		a := appPassword{name: f.Name, only: f.Only}
		if err := checkAppName(f.Name); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(all, func(o appPassword) bool { return o.name == a.name }) {
			return nil, fmt.Errorf("app password %q is there twice", f.Name)
		}
		if err := checkProtocols(f.Only); err != nil {
			return nil, fmt.Errorf("app password %q: only: %w", f.Name, err)
		}
		var err error
		if a.salt, a.sum, err = parseAppHash(f.Hash); err == nil {
			a.scram, err = parseScram(f.Scram)
		}
		if err != nil {
			return nil, fmt.Errorf("app password %q: %w", f.Name, err)
		}
		all = append(all, a)
	}
	return all, nil
}

func parseAppHash(text string) (salt, sum []byte, err error) {
	rest, ok := strings.CutPrefix(text, appScheme)
	first, second, two := strings.Cut(rest, "$")
	if ok && two {
		var err1, err2 error
		salt, err1 = base64.RawStdEncoding.DecodeString(first)
		sum, err2 = base64.RawStdEncoding.DecodeString(second)
		if err1 == nil && err2 == nil && len(salt) == saltLen && len(sum) == sha256.Size {
			return salt, sum, nil
		}
	}
	return nil, nil, errors.New("not the hash of an app password")
}

// checkAppName keeps names to what is typed behind an address in a login name and
// stands in a list.
func checkAppName(name string) error {
	ok := len(name) > 0 && len(name) <= 32 && name[0] != '.' && name[0] != '-'
	for i := 0; i < len(name); i++ {
		c := name[i]
		ok = ok && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_')
	}
	if !ok {
		return fmt.Errorf("%w: %q: the name of an app password is up to 32 of a-z, 0-9, dot, hyphen, underscore, such as phone", ErrSetting, name)
	}
	return nil
}

// app gives the app password that password is, nil for none. name, if it is not
// "", is the one that it must be.
func (acc *account) app(name, password string) *appPassword {
	plain, ok := appPlain(password)
	if !ok {
		return nil
	}
	var found *appPassword
	for i := range acc.apps {
		a := &acc.apps[i]
		if hmac.Equal(appSum(a.salt, plain), a.sum) && (name == "" || name == a.name) {
			found = a
		}
	}
	return found
}

// appPlain is what counts of an app password as it was typed: neither its case
// nor hyphens nor spaces. ok is false for what cannot be one.
func appPlain(password string) (plain string, ok bool) {
	if len(password) > 4*appLen {
		return "", false
	}
	var b strings.Builder
	for i := 0; i < len(password); i++ {
		c := password[i]
		switch {
		case c == '-' || c == ' ':
			continue
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		}
		if strings.IndexByte(appAlphabet, c) < 0 {
			return "", false
		}
		b.WriteByte(c)
	}
	return b.String(), b.Len() == appLen
}

// named gives the app password of that name, nil for none.
func (acc *account) named(name string) *appPassword {
	for i := range acc.apps {
		if acc.apps[i].name == name {
			return &acc.apps[i]
		}
	}
	return nil
}
