package config

import (
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"

	"tenma/relay/config/units"
	"tenma/relay/policy/dkim"
	"tenma/relay/wire/smtp"
)

// world is what reading a configuration takes from outside; tests give their own.
type world struct {
	hostname func() (string, error)
	getenv   func(string) (string, bool)
	readFile func(path string) ([]byte, error) // at most maxInput octets of a regular file
	exists   func(path string) bool
	open     func(path string) bool // everyone may read the file
	inspect  func(dkim.Key) dkim.Info
	now      time.Time
	// peek leaves alone the files that the configuration names, and the
	// environment: nothing is wrong with what is not looked at.
	peek bool
}

// reader collects what is wrong while sections are read one by one.
type reader struct {
	world
	file      string // as given
	dir       string // absolute, of the file: relative paths start in it or in dataDir
	dataDir   string
	errs      Errors
	warnings  []Warning
	relays    bool                // some listener lets someone relay
	elsewhere []place             // of recipients, by Config.Elsewhere
	schema    map[string][]string // section name -> keys that were asked for
}

func (r *reader) errorf(at place, format string, args ...any) {
	r.errs = append(r.errs, &Problem{r.file, at.line, at.column, fmt.Sprintf(format, args...)})
}

func (r *reader) warnf(at place, format string, args ...any) {
	r.warnings = append(r.warnings, &Problem{r.file, at.line, at.column, fmt.Sprintf(format, args...)})
}

// section reads one table. Each method looks for one key, leaves the target
// alone when the key is absent, and reports a value that does not fit. The
// keys that were looked for are the ones that are known.
type section struct {
	*reader
	*table
	name  string // "", "tls", "delivery.timeouts", "listen"
	asked []string
}

func (r *reader) section(name string, t *table) *section {
	return &section{reader: r, table: t, name: name}
}

func (s *section) find(key string) *value {
	s.asked = append(s.asked, key)
	return s.values[key]
}

// typed is find for a value of one kind; what names it for the error.
func (s *section) typed(key string, kind unstable.Kind, what string) *value {
	v := s.find(key)
	if v == nil {
		return nil
	}
	if v.kind != kind {
		s.errorf(v.at, "%s must be %s, not %s", key, what, describe(v))
		return nil
	}
	return v
}

func describe(v *value) string {
	switch v.kind {
	case unstable.String:
		return "the string " + strconv.Quote(clip(v.text))
	case unstable.Integer, unstable.Float:
		return "the number " + clip(v.text)
	case unstable.Bool:
		return v.text
	case unstable.Array:
		return "a list"
	case unstable.InlineTable, unstable.Table:
		return "a table"
	case unstable.ArrayTable:
		return "several tables"
	}
	return "a date or time"
}

// clip keeps an error on one readable line.
func clip(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "..."
	}
	return s
}

func (s *section) str(key string, into *string) *value {
	v := s.typed(key, unstable.String, "a string")
	if v != nil {
		*into = v.text
	}
	return v
}

func (s *section) boolean(key string, into *bool) *value {
	v := s.typed(key, unstable.Bool, "true or false")
	if v != nil {
		*into = v.text == "true"
	}
	return v
}

func (s *section) integer(key string, into *int, low, high int) *value {
	v := s.typed(key, unstable.Integer, "a whole number")
	if v == nil {
		return nil
	}
	n, err := strconv.ParseInt(v.text, 0, 64)
	if err != nil || n < int64(low) || n > int64(high) {
		s.errorf(v.at, "%s must be from %d to %d, not %s", key, low, high, clip(v.text))
		return nil
	}
	*into = int(n)
	return v
}

func (s *section) duration(key string, into *time.Duration, low, high time.Duration) *value {
	v := s.typed(key, unstable.String, `a duration such as "5m"`)
	if v == nil {
		return nil
	}
	d, ok := s.durationOf(key, v, low, high)
	if !ok {
		return nil
	}
	*into = d
	return v
}

func (s *section) durationOf(key string, v *value, low, high time.Duration) (time.Duration, bool) {
	d, err := units.ParseDuration(v.text)
	switch {
	case err != nil:
		s.errorf(v.at, "%s: %q is %v", key, clip(v.text), err)
	case d < low || d > high:
		s.errorf(v.at, "%s must be from %s to %s, not %s", key, short(low), short(high), clip(v.text))
	default:
		return d, true
	}
	return 0, false
}

// short writes a duration as the configuration does: "72h", not "72h0m0s".
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func (s *section) size(key string, into *int64, low, high int64) *value {
	v := s.find(key)
	if v == nil {
		return nil
	}
	if v.kind != unstable.String && v.kind != unstable.Integer {
		s.errorf(v.at, `%s must be a size such as "25MiB", not %s`, key, describe(v))
		return nil
	}
	n, err := units.ParseSize(v.text)
	switch {
	case err != nil:
		s.errorf(v.at, "%s: %q is %v", key, clip(v.text), err)
	case n < low || n > high:
		s.errorf(v.at, "%s must be from %d to %d octets, not %s", key, low, high, clip(v.text))
	default:
		*into = n
		return v
	}
	return nil
}

// choice reads one of a few words; "" is not one of them.
func (s *section) choice(key string, into *string, words ...string) *value {
	v := s.typed(key, unstable.String, "one of "+quoted(words))
	if v == nil {
		return nil
	}
	if !slices.Contains(words, v.text) {
		hint := ""
		if n := nearest(v.text, words); n != "" {
			hint = fmt.Sprintf(" (did you mean %q?)", n)
		}
		s.errorf(v.at, "%s must be one of %s, not %q%s", key, quoted(words), clip(v.text), hint)
		return nil
	}
	*into = v.text
	return v
}

func quoted(words []string) string {
	q := make([]string, len(words))
	for i, w := range words {
		q[i] = strconv.Quote(w)
	}
	return strings.Join(q, ", ")
}

// strings reads a list of strings; single lets one string stand for a list.
func (s *section) strings(key string, single bool, each func(v *value)) *value {
	v := s.find(key)
	switch {
	case v == nil:
		return nil
	case v.kind == unstable.String && single:
		each(v)
		return v
	case v.kind != unstable.Array:
		s.errorf(v.at, "%s must be a list of strings, not %s", key, describe(v))
		return nil
	}
	for _, item := range v.items {
		if item.kind != unstable.String {
			s.errorf(item.at, "%s must be a list of strings; this is %s", key, describe(item))
			continue
		}
		each(item)
	}
	return v
}

func (s *section) prefixes(key string, into *[]netip.Prefix) *value {
	return s.strings(key, false, func(v *value) {
		p, err := netip.ParsePrefix(v.text)
		if err != nil {
			a, errAddr := netip.ParseAddr(v.text)
			if errAddr != nil || a.Zone() != "" {
				s.errorf(v.at, `%s: %q is not a network; write "192.0.2.0/24" or "2001:db8::/32"`, key, clip(v.text))
				return
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		if p.Masked() != p {
			s.errorf(v.at, "%s: %s has bits behind its length; the network is %s", key, p, p.Masked())
			return
		}
		*into = append(*into, p)
	})
}

func (s *section) domainOf(key string, v *value) (smtp.Domain, bool) {
	d, err := smtp.ParseDomain(v.text)
	if err != nil || d.IsLiteral() {
		s.errorf(v.at, "%s: %q is not a domain name", key, clip(v.text))
		return "", false
	}
	return d, true
}

func (s *section) addressOf(key string, v *value) (smtp.Address, bool) {
	a, err := smtp.ParseMailbox(v.text)
	if err != nil || a.Domain == "" {
		s.errorf(v.at, "%s: %q is not a mail address", key, clip(v.text))
		return smtp.Address{}, false
	}
	return a, true
}

// sub is the table [key]; an empty one when it is absent.
func (s *section) sub(key string) *section {
	name := strings.TrimPrefix(s.name+"."+key, ".")
	v := s.find(key)
	if v == nil {
		return s.section(name, newTable(s.at))
	}
	if v.table == nil {
		s.errorf(v.at, "%s must be a table, [%s], not %s", key, name, describe(v))
		return s.section(name, newTable(v.at))
	}
	return s.section(name, v.table)
}

// each calls fn for every table of [[key]].
func (s *section) each(key string, fn func(*section)) {
	v := s.find(key)
	if v == nil {
		return
	}
	if v.kind != unstable.ArrayTable && v.kind != unstable.Array {
		s.errorf(v.at, "%s must be written [[%s]], once for each, not %s", key, key, describe(v))
		return
	}
	for _, item := range v.items {
		if item.table == nil {
			s.errorf(item.at, "%s must be a list of tables; this is %s", key, describe(item))
			continue
		}
		sub := s.section(key, item.table)
		fn(sub)
		sub.close()
	}
}

// close reports the keys that nobody asked for.
func (s *section) close() {
	known := slices.Compact(slices.Sorted(slices.Values(s.asked)))
	s.schema[s.name] = known
	for _, key := range s.keys {
		if !slices.Contains(known, key) {
			s.errorf(s.keyAt[key], "%s", s.unknown(key, known))
		}
	}
}

func (s *section) unknown(key string, known []string) string {
	text := fmt.Sprintf("unknown key %q", clip(key))
	if s.name != "" {
		text += " in " + s.title()
	}
	if why := notYet(s.name, key); why != "" {
		return text + ": " + why
	}
	if n := nearest(key, known); n != "" {
		return text + fmt.Sprintf("; did you mean %q?", n)
	}
	elsewhere := schema()
	for _, other := range slices.Sorted(maps.Keys(elsewhere)) {
		if slices.Contains(elsewhere[other], key) {
			if other == "" {
				return text + "; it belongs at the top of the file, before any [table]"
			}
			return text + "; it belongs in " + title(other)
		}
	}
	if s.name == "" {
		return text
	}
	return text + "; known here: " + strings.Join(known, ", ")
}

func (s *section) title() string { return title(s.name) }

func title(name string) string {
	switch name {
	case "listen", "route", "domain", "alias", "dkim":
		return "[[" + name + "]]"
	}
	return "[" + name + "]"
}

// path makes a path absolute: relative ones start in the data directory. For a
// file that is read (an input), one beside the configuration file is taken when
// the data directory has none.
func (r *reader) path(name string, input bool) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	inData := filepath.Join(r.dataDir, name)
	if beside := filepath.Join(r.dir, name); input && !r.exists(inData) && r.exists(beside) {
		return beside
	}
	return inData
}
