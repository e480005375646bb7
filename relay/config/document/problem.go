package document

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is something wrong with a configuration, at a place in its file.
type Problem struct {
	File         string // as it was given to Load
	Line, Column int    // from 1, column in characters; 0 when the whole file is meant
	Text         string // one line: what is wrong, and what would be right
}

// Error gives "FILE:LINE:COLUMN: TEXT", which editors can jump to.
func (p *Problem) Error() string {
	switch {
	case p.File == "":
		return p.Text
	case p.Line == 0:
		return p.File + ": " + p.Text
	}
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Text)
}

// Warning is a Problem that stops nothing: legal but unwise.
type Warning = *Problem

// Errors are all problems of one file, in the order of their places.
type Errors []*Problem

// Error gives one problem a line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, p := range e {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find a *Problem.
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i, p := range e {
		all[i] = p
	}
	return all
}

// ByPlace sorts problems as they stand in the file.
func ByPlace(a, b *Problem) int {
	return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Text, b.Text))
}

// Nearest gives the candidate that is most likely meant by name, or "" when
// none is close: more than a third of its letters would have to change.
func Nearest(name string, candidates []string) string {
	best, at := "", len(name)/3+2
	for _, c := range slices.Sorted(slices.Values(candidates)) {
		if d := distance(strings.ToLower(name), c); d < at {
			best, at = c, d
		}
	}
	return best
}

// distance is the number of letters to insert, delete or change to get from a
// to b (Levenshtein); swapped neighbours count as one change.
func distance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := last[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(change, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
