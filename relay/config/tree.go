package config

import (
	"bytes"
	"errors"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// place is a position in the file, from 1.
type place struct{ line, column int }

// value is one value of the document with the place where it stands. The
// library's decoder stops at the first value of a wrong type and forgets
// places; an operator wants all errors at once, so the tree keeps both.
type value struct {
	kind  unstable.Kind
	text  string   // as written for numbers and booleans, decoded for strings
	at    place    // of the value; of its key for arrays and tables
	items []*value // of an Array, and of an array of tables
	table *table   // of an InlineTable or Table
}

// table is a table of the document, keys in their order.
type table struct {
	at     place
	keys   []string
	values map[string]*value
	keyAt  map[string]place
}

func newTable(at place) *table {
	return &table{at: at, values: map[string]*value{}, keyAt: map[string]place{}}
}

func (t *table) set(key string, v *value, at place) {
	if _, there := t.values[key]; !there {
		t.keys = append(t.keys, key)
		t.keyAt[key] = at
	}
	t.values[key] = v
}

// document reads TOML text. The library's decoder is asked first: it knows
// every rule of the language (a key that stands twice, a table reopened), so
// that the walk over the syntax tree need not. The error is at most one, since
// nothing behind a syntax error can be trusted.
func document(file string, text []byte) (*table, *Problem) {
	places := newPlaces(text)
	if !utf8.Valid(text) {
		return nil, &Problem{File: file, Line: 1, Column: 1, Text: "the file is not UTF-8 text"}
	}
	var all map[string]any
	if err := toml.Unmarshal(text, &all); err != nil {
		p := &Problem{File: file, Text: err.Error()}
		var de *toml.DecodeError
		if errors.As(err, &de) {
			line, column := de.Position()
			at := places.character(line, column)
			p.Line, p.Column, p.Text = at.line, at.column, trimToml(de.Error())
		}
		return nil, p
	}
	w := walker{places: places}
	w.parser.Reset(text)
	root := newTable(place{1, 1})
	current := root
	for w.parser.NextExpression() {
		switch e := w.parser.Expression(); e.Kind {
		case unstable.Table:
			current = w.open(root, e, false)
		case unstable.ArrayTable:
			current = w.open(root, e, true)
		case unstable.KeyValue:
			w.keyValue(current, e)
		}
	}
	if err := w.parser.Error(); err != nil {
		return nil, &Problem{File: file, Text: trimToml(err.Error())}
	}
	return root, nil
}

func trimToml(s string) string {
	b := bytes.TrimPrefix([]byte(s), []byte("toml: "))
	return "not TOML: " + string(bytes.ReplaceAll(b, []byte("\n"), []byte(" ")))
}

type walker struct {
	parser unstable.Parser
	places places
}

type part struct {
	name string
	at   place
}

func (w *walker) path(n *unstable.Node) []part {
	var parts []part
	for it := n.Key(); it.Next(); {
		k := it.Node()
		parts = append(parts, part{string(k.Data), w.places.of(k.Raw.Offset)})
	}
	return parts
}

// open finds or makes the table that a [header] or [[header]] names.
func (w *walker) open(root *table, n *unstable.Node, array bool) *table {
	parts := w.path(n)
	t := root
	for _, p := range parts[:len(parts)-1] {
		t = t.child(p)
	}
	last := parts[len(parts)-1]
	if !array {
		return t.child(last)
	}
	v := t.values[last.name]
	if v == nil {
		v = &value{kind: unstable.ArrayTable, at: last.at}
		t.set(last.name, v, last.at)
	}
	item := newTable(last.at)
	v.items = append(v.items, &value{kind: unstable.Table, at: last.at, table: item})
	return item
}

// child is the table under p, the newest one if p is an array of tables.
func (t *table) child(p part) *table {
	v := t.values[p.name]
	switch {
	case v == nil:
		v = &value{kind: unstable.Table, at: p.at, table: newTable(p.at)}
		t.set(p.name, v, p.at)
	case v.table == nil && len(v.items) > 0 && v.items[len(v.items)-1].table != nil:
		return v.items[len(v.items)-1].table
	case v.table == nil: // cannot be after the decoder's check
		v.table = newTable(p.at)
	}
	return v.table
}

func (w *walker) keyValue(t *table, n *unstable.Node) {
	parts := w.path(n)
	for _, p := range parts[:len(parts)-1] {
		t = t.child(p)
	}
	last := parts[len(parts)-1]
	t.set(last.name, w.value(n.Value(), last.at), last.at)
}

func (w *walker) value(n *unstable.Node, at place) *value {
	v := &value{kind: n.Kind, text: string(n.Data), at: at}
	if n.Raw.Length > 0 {
		v.at = w.places.of(n.Raw.Offset)
	}
	switch n.Kind {
	case unstable.Array:
		for it := n.Children(); it.Next(); {
			v.items = append(v.items, w.value(it.Node(), at))
		}
	case unstable.InlineTable:
		v.table = newTable(v.at)
		for it := n.Children(); it.Next(); {
			w.keyValue(v.table, it.Node())
		}
	}
	return v
}

// places turns offsets into lines and columns.
type places struct {
	text  []byte
	lines []int // offset of each line's first octet
}

func newPlaces(text []byte) places {
	p := places{text: text, lines: []int{0}}
	for i, c := range text {
		if c == '\n' {
			p.lines = append(p.lines, i+1)
		}
	}
	return p
}

func (p places) of(offset uint32) place {
	lo, hi := 0, len(p.lines)
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; p.lines[mid] <= int(offset) {
			lo = mid
		} else {
			hi = mid
		}
	}
	return p.character(lo+1, int(offset)-p.lines[lo]+1)
}

// character turns a column in octets into one in characters.
func (p places) character(line, column int) place {
	if line < 1 || line > len(p.lines) {
		return place{line, column}
	}
	start := p.lines[line-1]
	end := min(start+column-1, len(p.text))
	return place{line, utf8.RuneCount(p.text[start:max(start, end)]) + 1}
}
