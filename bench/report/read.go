package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"

	"tenma/bench/load"
)

// Bounds of the raw data. A day's run has 86,400 points of some 150 octets,
// which is 13 MiB in one line.
const (
	maxLine    = 16 << 20
	maxResults = 10_000
	maxPoints  = 100_000
	maxExtra   = 100
	maxName    = 64   // of scenario, MTA and an extra figure
	maxText    = 4096 // of everything else
	maxFigure  = 1e18
)

// A LineError is a line of raw data that is no result.
type LineError struct {
	File string // empty if not known
	Line int    // from 1
	Err  error
}

func (e *LineError) Error() string {
	if e.File == "" {
		return fmt.Sprintf("line %d: %v", e.Line, e.Err)
	}
	return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err)
}

func (e *LineError) Unwrap() error { return e.Err }

// Load reads raw data: a [load.Result] a line as JSON, empty lines allowed. A
// field it does not know is passed over, so that newer raw data can be read.
// What was read before an error is returned with it; a line that is no result,
// or is beyond the bounds, is a [*LineError].
func Load(r io.Reader) ([]load.Result, error) {
	in := bufio.NewScanner(r)
	in.Buffer(nil, maxLine)
	var all []load.Result
	n := 0
	for in.Scan() {
		n++
		text := bytes.TrimSpace(in.Bytes())
		if len(text) == 0 {
			continue
		}
		one, err := parse(text)
		if err == nil && len(all) == maxResults {
			err = fmt.Errorf("more than %d results", maxResults)
		}
		if err != nil {
			return all, &LineError{Line: n, Err: err}
		}
		all = append(all, one)
	}
	if err := in.Err(); errors.Is(err, bufio.ErrTooLong) {
		return all, &LineError{Line: n + 1, Err: fmt.Errorf("longer than %s", octets(maxLine))}
	} else if err != nil {
		return all, err
	}
	return all, nil
}

// LoadFiles reads the raw data of several files, one after the other, at most
// 10,000 results together.
func LoadFiles(names ...string) ([]load.Result, error) {
	var all []load.Result
	for _, name := range names {
		some, err := loadFile(name)
		if err != nil {
			return nil, err
		}
		if all = append(all, some...); len(all) > maxResults {
			return nil, fmt.Errorf("%s: more than %d results with those before it", name, maxResults)
		}
	}
	return all, nil
}

func loadFile(name string) ([]load.Result, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := Load(f)
	var line *LineError
	switch {
	case errors.As(err, &line):
		line.File = name
		return nil, line
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return all, nil
}

func parse(text []byte) (load.Result, error) {
	var r load.Result
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("no result: %w", err)
	}
	return r, valid(&r)
}

// valid checks what tables and charts rely on: names that can be shown, figures
// that can be drawn, and not too many of them.
func valid(r *load.Result) error {
	for _, n := range []struct{ field, text string }{{"scenario", r.Scenario}, {"mta", r.MTA}} {
		if n.text == "" {
			return fmt.Errorf("%s is missing", n.field)
		}
		if len(n.text) > maxName {
			return fmt.Errorf("%s is longer than %d octets", n.field, maxName)
		}
	}
	if r.Round < 0 || r.Round > maxResults {
		return fmt.Errorf("round %d is not possible", r.Round)
	}
	if len(r.Series) > maxPoints {
		return fmt.Errorf("series has more than %d points", maxPoints)
	}
	if len(r.Extra) > maxExtra {
		return fmt.Errorf("extra has more than %d figures", maxExtra)
	}
	for k, v := range r.Extra {
		if k == "" || len(k) > maxName || !printable(k) {
			return fmt.Errorf("extra: %.80q is not a name", k)
		}
		if math.Abs(v) > maxFigure {
			return fmt.Errorf("extra.%s: %g is not possible", k, v)
		}
	}
	last := math.Inf(-1)
	for i, p := range r.Series {
		if p.Second <= last {
			return fmt.Errorf("series: point %d is not later than the one before it", i)
		}
		last = p.Second
	}
	return fields("", reflect.ValueOf(*r))
}

// fields checks the texts and numbers of a struct, and of those within it.
func fields(path string, v reflect.Value) error {
	for i := range v.NumField() {
		f := v.Field(i)
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		name = path + name
		switch f.Kind() {
		case reflect.String:
			if len(f.String()) > maxText || !printable(f.String()) {
				return fmt.Errorf("%s is longer than %d octets, or not printable text", name, maxText)
			}
		case reflect.Float64:
			if f.Float() < 0 || f.Float() > maxFigure {
				return fmt.Errorf("%s: %g is not possible", name, f.Float())
			}
		case reflect.Int, reflect.Int64:
			// What arrived may be counted before its 250 is.
			if f.Int() < 0 && name[strings.LastIndexByte(name, '.')+1:] != "backlog" || math.Abs(float64(f.Int())) > maxFigure {
				return fmt.Errorf("%s: %d is not possible", name, f.Int())
			}
		case reflect.Struct:
			if f.Type().PkgPath() == v.Type().PkgPath() { // not time.Time
				if err := fields(name+".", f); err != nil {
					return err
				}
			}
		case reflect.Slice:
			for j := range f.Len() {
				if err := fields(fmt.Sprintf("%s[%d].", name, j), f.Index(j)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// printable allows what a server says of itself: line ends and tabs too.
func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsPrint(r) && r != '\n' && r != '\t'
	})
}
