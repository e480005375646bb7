package rotation

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tenma/relay/policy/dkim"
	"tenma/relay/wire/smtp"
)

// File is a private key in the directory. Whether it can be used is another
// question.
type File struct {
	Domain   smtp.Domain
	Selector string
	Made     time.Time // the file's time
}

// Path is where a key's file lies.
func Path(dir string, d smtp.Domain, selector string) string {
	return filepath.Join(dir, string(d)+"."+selector+".pem")
}

// Files lists the keys in dir by domain, the oldest first. A directory that is
// not there has none.
func Files(dir string) (map[smtp.Domain][]File, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	all := map[smtp.Domain][]File{}
	for _, e := range entries {
		f, ok := named(e.Name())
		if !ok || !e.Type().IsRegular() {
			continue
		}
		if st, err := e.Info(); err == nil { // else it has just gone
			f.Made = st.ModTime()
			all[f.Domain] = append(all[f.Domain], f)
		}
	}
	for _, files := range all {
		slices.SortFunc(files, func(a, b File) int { return cmp.Or(a.Made.Compare(b.Made), cmp.Compare(a.Selector, b.Selector)) })
	}
	return all, nil
}

// named reads DOMAIN.SELECTOR.pem.
func named(file string) (File, bool) {
	base, ok := strings.CutSuffix(file, ".pem")
	dot := strings.LastIndexByte(base, '.')
	if !ok || dot < 0 || !selectorFits(base[dot+1:]) {
		return File{}, false
	}
	d, err := smtp.ParseDomain(base[:dot])
	return File{Domain: d, Selector: base[dot+1:]}, err == nil && !d.IsLiteral() && string(d) == base[:dot]
}

// Make makes another key of the kind of old, in the same directory, with a
// selector that tells the day: s20260102 for RSA, e20260102 for Ed25519, with a
// letter behind it from the second key of a day.
func Make(dir string, old dkim.Info, now time.Time) (dkim.Info, error) {
	day := map[string]string{dkim.RSA: "s", dkim.Ed25519: "e"}[old.Algorithm] + now.UTC().Format("20060102")
	bits := 0
	if old.Algorithm == dkim.RSA {
		bits = min(max(old.Bits, dkim.DefaultBits), 4096) // RFC 8301: a weak key is not followed by another
	}
	for _, letter := range strings.Split(" bcdefghijklmnopqrstuvwxyz", "") {
		k := dkim.Key{Domain: old.Domain, Selector: day + strings.TrimSpace(letter)}
		k.Path = Path(dir, k.Domain, k.Selector)
		_, err := dkim.Generate(old.Algorithm, bits, k.Path)
		if os.IsExist(err) {
			continue
		}
		if err != nil {
			return dkim.Info{}, err
		}
		info := dkim.Inspect([]dkim.Key{k})[0]
		return info, info.Err
	}
	return dkim.Info{}, fmt.Errorf("%s has 26 keys of today: %w", old.Domain, os.ErrExist)
}
