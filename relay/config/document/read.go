package document

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"

	"tenma/relay/config/document/units"
	"tenma/relay/wire/smtp"
)

// Reader collects what is wrong while sections are read one by one.
type Reader struct {
	File     string // as given to Parse
	Errs     Errors
	Warnings []Warning
	// Known has the keys that were looked for, by the name of their section.
	Known map[string][]string
	// Explain says more about a key that nobody knows in this section; "" where
	// there is no more to say. nil: never.
	Explain func(section, key string) string
}

// NewReader makes a Reader for a file.
func NewReader(file string) *Reader { return &Reader{File: file, Known: map[string][]string{}} }

// Errorf reports an error at a place of the file.
func (r *Reader) Errorf(at Place, format string, args ...any) {
	r.Errs = append(r.Errs, &Problem{r.File, at.Line, at.Column, fmt.Sprintf(format, args...)})
}

// Warnf reports what is legal but unwise.
func (r *Reader) Warnf(at Place, format string, args ...any) {
	r.Warnings = append(r.Warnings, &Problem{r.File, at.Line, at.Column, fmt.Sprintf(format, args...)})
}

// Section reads one table. Each method looks for one key, leaves the target
// alone when the key is absent, and reports a value that does not fit. The
// keys that were looked for are the ones that are known.
type Section struct {
	*Reader
	*Table
	Name  string   // "", "tls", "delivery.timeouts", "listen"
	Asked []string // the keys that were looked for
}

// Section begins to read a table. Its name is that of the header: "tls",
// "delivery.timeouts", "listen"; "" for the document itself.
func (r *Reader) Section(name string, t *Table) *Section {
	return &Section{Reader: r, Table: t, Name: name}
}

// Find gives the value of a key, or nil.
func (s *Section) Find(key string) *Value {
	s.Asked = append(s.Asked, key)
	return s.Values[key]
}

// Typed is Find for a value of one kind; what names it for the error.
func (s *Section) Typed(key string, kind unstable.Kind, what string) *Value {
	v := s.Find(key)
	if v == nil {
		return nil
	}
	if v.Kind != kind {
		s.Errorf(v.At, "%s must be %s, not %s", key, what, describe(v))
		return nil
	}
	return v
}

func describe(v *Value) string {
	switch v.Kind {
	case unstable.String:
		return "the string " + strconv.Quote(Clip(v.Text))
	case unstable.Integer, unstable.Float:
		return "the number " + Clip(v.Text)
	case unstable.Bool:
		return v.Text
	case unstable.Array:
		return "a list"
	case unstable.InlineTable, unstable.Table:
		return "a table"
	case unstable.ArrayTable:
		return "several tables"
	}
	return "a date or time"
}

// Clip keeps an error on one readable line.
func Clip(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "..."
	}
	return s
}

// String reads a string.
func (s *Section) String(key string, into *string) *Value {
	v := s.Typed(key, unstable.String, "a string")
	if v != nil {
		*into = v.Text
	}
	return v
}

// Bool reads true or false.
func (s *Section) Bool(key string, into *bool) *Value {
	v := s.Typed(key, unstable.Bool, "true or false")
	if v != nil {
		*into = v.Text == "true"
	}
	return v
}

// Integer reads a whole number from low to high.
func (s *Section) Integer(key string, into *int, low, high int) *Value {
	v := s.Typed(key, unstable.Integer, "a whole number")
	if v == nil {
		return nil
	}
	n, err := strconv.ParseInt(v.Text, 0, 64)
	if err != nil || n < int64(low) || n > int64(high) {
		s.Errorf(v.At, "%s must be from %d to %d, not %s", key, low, high, Clip(v.Text))
		return nil
	}
	*into = int(n)
	return v
}

// Duration reads a duration such as "5m", from low to high.
func (s *Section) Duration(key string, into *time.Duration, low, high time.Duration) *Value {
	v := s.Typed(key, unstable.String, `a duration such as "5m"`)
	if v == nil {
		return nil
	}
	d, ok := s.DurationOf(key, v, low, high)
	if !ok {
		return nil
	}
	*into = d
	return v
}

// DurationOf is Duration for one value of a list.
func (s *Section) DurationOf(key string, v *Value, low, high time.Duration) (time.Duration, bool) {
	d, err := units.ParseDuration(v.Text)
	switch {
	case err != nil:
		s.Errorf(v.At, "%s: %q is %v", key, Clip(v.Text), err)
	case d < low || d > high:
		s.Errorf(v.At, "%s must be from %s to %s, not %s", key, Short(low), Short(high), Clip(v.Text))
	default:
		return d, true
	}
	return 0, false
}

// Short writes a duration as the configuration does: "72h", not "72h0m0s".
func Short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Size reads a number of octets, such as "25MiB", from low to high.
func (s *Section) Size(key string, into *int64, low, high int64) *Value {
	v := s.Find(key)
	if v == nil {
		return nil
	}
	if v.Kind != unstable.String && v.Kind != unstable.Integer {
		s.Errorf(v.At, `%s must be a size such as "25MiB", not %s`, key, describe(v))
		return nil
	}
	n, err := units.ParseSize(v.Text)
	switch {
	case err != nil:
		s.Errorf(v.At, "%s: %q is %v", key, Clip(v.Text), err)
	case n < low || n > high:
		s.Errorf(v.At, "%s must be from %d to %d octets, not %s", key, low, high, Clip(v.Text))
	default:
		*into = n
		return v
	}
	return nil
}

// Choice reads one of a few words; "" is not one of them.
func (s *Section) Choice(key string, into *string, words ...string) *Value {
	v := s.Typed(key, unstable.String, "one of "+Quoted(words))
	if v == nil {
		return nil
	}
	if !slices.Contains(words, v.Text) {
		hint := ""
		if n := Nearest(v.Text, words); n != "" {
			hint = fmt.Sprintf(" (did you mean %q?)", n)
		}
		s.Errorf(v.At, "%s must be one of %s, not %q%s", key, Quoted(words), Clip(v.Text), hint)
		return nil
	}
	*into = v.Text
	return v
}

// Quoted lists words, each in quotation marks.
func Quoted(words []string) string {
	q := make([]string, len(words))
	for i, w := range words {
		q[i] = strconv.Quote(w)
	}
	return strings.Join(q, ", ")
}

// Strings reads a list of strings; single lets one string stand for a list.
func (s *Section) Strings(key string, single bool, each func(v *Value)) *Value {
	v := s.Find(key)
	switch {
	case v == nil:
		return nil
	case v.Kind == unstable.String && single:
		each(v)
		return v
	case v.Kind != unstable.Array:
		s.Errorf(v.At, "%s must be a list of strings, not %s", key, describe(v))
		return nil
	}
	for _, item := range v.Items {
		if item.Kind != unstable.String {
			s.Errorf(item.At, "%s must be a list of strings; this is %s", key, describe(item))
			continue
		}
		each(item)
	}
	return v
}

// Prefixes reads a list of networks and single addresses.
func (s *Section) Prefixes(key string, into *[]netip.Prefix) *Value {
	return s.Strings(key, false, func(v *Value) {
		p, err := netip.ParsePrefix(v.Text)
		if err != nil {
			a, errAddr := netip.ParseAddr(v.Text)
			if errAddr != nil || a.Zone() != "" {
				s.Errorf(v.At, `%s: %q is not a network; write "192.0.2.0/24" or "2001:db8::/32"`, key, Clip(v.Text))
				return
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		if p.Masked() != p {
			s.Errorf(v.At, "%s: %s has bits behind its length; the network is %s", key, p, p.Masked())
			return
		}
		*into = append(*into, p)
	})
}

// DomainOf reads v as a domain name.
func (s *Section) DomainOf(key string, v *Value) (smtp.Domain, bool) {
	d, err := smtp.ParseDomain(v.Text)
	if err != nil || d.IsLiteral() {
		s.Errorf(v.At, "%s: %q is not a domain name", key, Clip(v.Text))
		return "", false
	}
	return d, true
}

// AddressOf reads v as a mail address.
func (s *Section) AddressOf(key string, v *Value) (smtp.Address, bool) {
	a, err := smtp.ParseMailbox(v.Text)
	if err != nil || a.Domain == "" {
		s.Errorf(v.At, "%s: %q is not a mail address", key, Clip(v.Text))
		return smtp.Address{}, false
	}
	return a, true
}

// Sub is the table [key]; an empty one when it is absent.
func (s *Section) Sub(key string) *Section {
	name := strings.TrimPrefix(s.Name+"."+key, ".")
	v := s.Find(key)
	if v == nil {
		return s.Section(name, newTable(s.At))
	}
	if v.Table == nil {
		s.Errorf(v.At, "%s must be a table, [%s], not %s", key, name, describe(v))
		return s.Section(name, newTable(v.At))
	}
	return s.Section(name, v.Table)
}

// Each calls fn for every table of [[key]].
func (s *Section) Each(key string, fn func(*Section)) {
	v := s.Find(key)
	if v == nil {
		return
	}
	if v.Kind != unstable.ArrayTable && v.Kind != unstable.Array {
		s.Errorf(v.At, "%s must be written [[%s]], once for each, not %s", key, key, describe(v))
		return
	}
	for _, item := range v.Items {
		if item.Table == nil {
			s.Errorf(item.At, "%s must be a list of tables; this is %s", key, describe(item))
			continue
		}
		sub := s.Section(key, item.Table)
		fn(sub)
		sub.Close()
	}
}

// Close reports the keys that nobody asked for.
func (s *Section) Close() {
	known := slices.Compact(slices.Sorted(slices.Values(s.Asked)))
	s.Known[s.Name] = known
	for _, key := range s.Keys {
		if !slices.Contains(known, key) {
			s.Errorf(s.KeyAt[key], "%s", s.unknown(key, known))
		}
	}
}

func (s *Section) unknown(key string, known []string) string {
	text := fmt.Sprintf("unknown key %q", Clip(key))
	if s.Name != "" {
		text += " in " + s.Title()
	}
	if s.Explain != nil {
		if why := s.Explain(s.Name, key); why != "" {
			return text + why
		}
	}
	if n := Nearest(key, known); n != "" {
		return text + fmt.Sprintf("; did you mean %q?", n)
	}
	if s.Name == "" {
		return text
	}
	return text + "; known here: " + strings.Join(known, ", ")
}

// Title names the section as the file has it: [tls], [[listen]].
func (s *Section) Title() string { return Title(s.Name) }

// Title names a section as the file has it.
func Title(name string) string {
	switch name {
	case "listen", "route", "domain", "alias", "dkim", "tenant", "milter":
		return "[[" + name + "]]"
	}
	return "[" + name + "]"
}

// SizeOr reads a size, or the word for none, which is -1.
func (s *Section) SizeOr(key, none string, into *int64, low, high int64) {
	if s.IsWord(key, none) {
		*into = -1
		return
	}
	s.Size(key, into, low, high)
}

// DaysOr reads a duration of whole days, or the word for ever, which is -1.
func (s *Section) DaysOr(key, ever string, into *int) {
	if s.IsWord(key, ever) {
		*into = -1
		return
	}
	var d time.Duration
	v := s.Duration(key, &d, 24*time.Hour, 100*365*24*time.Hour)
	switch {
	case v == nil:
	case d%(24*time.Hour) != 0:
		s.Errorf(v.At, `%s is counted in whole days; write "30d" or %q`, key, ever)
	default:
		*into = int(d / (24 * time.Hour))
	}
}

// PercentOr reads "90%", or the word for never, which is -1.
func (s *Section) PercentOr(key, never string, into *int) {
	if s.IsWord(key, never) {
		*into = -1
		return
	}
	v := s.Typed(key, unstable.String, `a part such as "90%"`)
	if v == nil {
		return
	}
	number, percent := strings.CutSuffix(v.Text, "%")
	n, err := strconv.Atoi(strings.TrimSpace(number))
	if !percent || err != nil || n < 1 || n > 99 {
		s.Errorf(v.At, `%s must be from "1%%" to "99%%", or %q, not %q`, key, never, Clip(v.Text))
		return
	}
	*into = n
}

// IsWord reports that the value of key is this word.
func (s *Section) IsWord(key, word string) bool {
	v := s.Find(key)
	return v != nil && v.Kind == unstable.String && v.Text == word
}

// Version reads a TLS version.
func (s *Section) Version(key string, into *uint16) *Value {
	var word string
	v := s.Choice(key, &word, "1.0", "1.1", "1.2", "1.3")
	if v != nil {
		*into = map[string]uint16{"1.0": tls.VersionTLS10, "1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}[word]
	}
	return v
}
