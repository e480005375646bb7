package suppress

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"tenma/relay/admin"
	"tenma/relay/policy/suppress"
)

// maxLine bounds a line of a file, in octets.
const maxLine = 64 << 10

// errLine is what is wrong with one line; reading may go on.
type errLine struct {
	line int
	err  error
}

// Error tells the line, too.
func (e *errLine) Error() string { return fmt.Sprintf("line %d: %s", e.line, e.err) }

// lines reads entries from a file, each from a line of its own: JSON objects, CSV
// with or without a heading, or bare addresses. What it is the first line tells.
type lines struct {
	in     *bufio.Reader
	number int
	read   func(text string) (admin.Suppression, error) // by format; nil: not known yet
	fields []string                                     // of each column of CSV
	comma  rune
}

func newLines(r io.Reader) *lines { return &lines{in: bufio.NewReaderSize(r, maxLine)} }

// next gives the next entry and its line. Its error is io.EOF, an *errLine, or
// that of reading.
func (l *lines) next() (e admin.Suppression, line int, err error) {
	for {
		text, err := l.line()
		if err != nil {
			return e, l.number, err
		}
		if text = strings.TrimSpace(text); text == "" || text[0] == '#' {
			continue
		}
		if l.read == nil && l.sniff(text) {
			continue // a heading
		}
		if e, err = l.read(text); err != nil {
			return e, l.number, &errLine{l.number, err}
		}
		return e, l.number, nil
	}
}

// line gives the next line; one that is too long is an error of its own.
func (l *lines) line() (string, error) {
	b, err := l.in.ReadSlice('\n')
	l.number++
	if errors.Is(err, bufio.ErrBufferFull) {
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = l.in.ReadSlice('\n')
		}
		if err == nil || errors.Is(err, io.EOF) {
			return "", &errLine{l.number, fmt.Errorf("it is longer than %d octets", maxLine)}
		}
	}
	if errors.Is(err, io.EOF) && len(b) > 0 {
		err = nil
	}
	if l.number == 1 {
		b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")) // of files from Windows
	}
	return string(b), err
}

// sniff finds out the format by the first line, and whether that is a heading.
func (l *lines) sniff(first string) (heading bool) {
	if first[0] == '{' {
		l.read = readJSON
		return false
	}
	l.read = l.readRow
	l.comma = ','
	for _, c := range []rune{';', '\t'} {
		if strings.Count(first, string(c)) > strings.Count(first, string(l.comma)) {
			l.comma = c
		}
	}
	cells, err := l.split(first)
	if err == nil {
		for _, c := range cells {
			l.fields = append(l.fields, field(c))
		}
		if slices.Contains(l.fields, "address") {
			return true
		}
	}
	l.fields = []string{"address"}
	return false
}

// field gives the name that we have for a column of ours or of another service's
// export, "" for one that tells us nothing.
func field(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
	if slices.Contains(columns(), name) {
		return name
	}
	for known, others := range map[string][]string{
		"address": {"email", "emailaddress", "mail", "recipient"},
		"reason":  {"type", "suppressionreason", "suppressiontype", "bouncetype"},
		"created": {"createdat", "timestamp", "date", "lastupdatetime", "updated", "createdtime"},
		"expires": {"expiresat", "expiry", "until"},
		"detail":  {"description", "error", "errormessage", "note", "comment"},
	} {
		if slices.Contains(others, name) {
			return known
		}
	}
	return ""
}

func (l *lines) split(text string) ([]string, error) {
	r := csv.NewReader(strings.NewReader(text))
	r.Comma, r.LazyQuotes = l.comma, true
	return r.Read()
}

func (l *lines) readRow(text string) (e admin.Suppression, err error) {
	cells, err := l.split(text)
	if err != nil {
		return e, errors.New("it is no CSV")
	}
	for i, c := range cells {
		if i < len(l.fields) && err == nil {
			err = set(&e, l.fields[i], c)
		}
	}
	if err == nil {
		err = complete(&e)
	}
	return e, err
}

// readJSON reads an entry of ours, or an object with such names as other
// services have.
func readJSON(text string) (e admin.Suppression, err error) {
	var object map[string]any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&object); err != nil || object == nil {
		return e, errors.New("it is no JSON object")
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		switch v := object[name].(type) {
		case string, json.Number, bool:
			if err := set(&e, field(name), fmt.Sprint(v)); err != nil {
				return e, err
			}
		}
	}
	return e, complete(&e)
}

// set fills a field; of several columns for one the first counts.
func set(e *admin.Suppression, name, text string) (err error) {
	text = strings.TrimSpace(text)
	texts := map[string]*string{
		"address": &e.Address, "tenant": &e.Tenant, "campaign": &e.Campaign, "reason": &e.Reason, "rule": &e.Rule, "detail": &e.Detail,
		"message": &e.Message, "creator": &e.Creator, "provider": &e.Provider,
	}
	switch to := texts[name]; {
	case text == "":
	case to != nil && *to == "":
		*to = text
	case name == "created" && e.Created == nil:
		e.Created, err = stamp(text)
	case name == "expires" && e.Expires == nil:
		e.Expires, err = stamp(text)
	case name == "held":
		e.Held = strings.EqualFold(text, "true")
	}
	return err
}

// complete checks an address, and says the reason in our words.
func complete(e *admin.Suppression) error {
	e.Address = strings.Trim(e.Address, "<>")
	if _, err := suppress.ParseSubject(e.Address); err != nil {
		return fmt.Errorf("%q is neither an address nor a domain", e.Address[:min(len(e.Address), 80)])
	}
	word := e.Reason
	if _, err := suppress.ParseReason(word); err == nil || word == "" {
		return nil
	}
	e.Reason = reason(word)
	if e.Detail == "" {
		e.Detail = word
	}
	return nil
}

// reason finds ours for another service's.
func reason(word string) string {
	word = strings.ToLower(word)
	for _, k := range []struct{ part, reason string }{
		{"unsub", "unsubscribe"},
		{"opt", "unsubscribe"},
		{"spam", "complaint"},
		{"complain", "complaint"},
		{"abuse", "complaint"},
		{"bounce", "hard_bounce"},
		{"invalid", "hard_bounce"},
		{"unknown", "hard_bounce"},
		{"manual", "manual"},
	} {
		if strings.Contains(word, k.part) {
			return k.reason
		}
	}
	return "import"
}

// stamp reads a time as exports have it.
func stamp(s string) (*time.Time, error) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n > 0 {
		if n > 1e11 { // milliseconds
			n /= 1000
		}
		t := time.Unix(min(n, 1e11), 0).UTC()
		return &t, nil
	}
	for _, form := range []string{time.RFC3339, "2006-01-02 15:04:05 MST", "2006-01-02T15:04:05", time.DateTime, time.DateOnly} {
		if t, err := time.Parse(form, s); err == nil {
			return &t, nil
		}
	}
	return nil, fmt.Errorf("%q is no time such as 2026-01-31T12:00:00Z", s[:min(len(s), 40)])
}
