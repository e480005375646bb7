package document

import (
	"bytes"
	"errors"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// Place is a position in the file, from 1.
type Place struct{ Line, Column int }

// value is one value of the document with the Place where it stands. The
// library's decoder stops at the first value of a wrong type and forgets
// places; an operator wants all errors at once, so the tree keeps both.
type Value struct {
	Kind  unstable.Kind
	Text  string   // as written for numbers and booleans, decoded for strings
	At    Place    // of the value; of its key for arrays and tables
	Items []*Value // of an Array, and of an array of tables
	Table *Table   // of an InlineTable or Table
}

// table is a table of the document, keys in their order.
type Table struct {
	At     Place
	Keys   []string
	Values map[string]*Value
	KeyAt  map[string]Place
}

func newTable(at Place) *Table {
	return &Table{At: at, Values: map[string]*Value{}, KeyAt: map[string]Place{}}
}

func (t *Table) set(key string, v *Value, at Place) {
	if _, there := t.Values[key]; !there {
		t.Keys = append(t.Keys, key)
		t.KeyAt[key] = at
	}
	t.Values[key] = v
}

// Parse reads TOML text. The library's decoder is asked first: it knows
// every rule of the language (a key that stands twice, a table reopened), so
// that the walk over the syntax tree need not. The error is at most one, since
// nothing behind a syntax error can be trusted.
func Parse(file string, text []byte) (*Table, *Problem) {
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
			p.Line, p.Column, p.Text = at.Line, at.Column, trimToml(de.Error())
		}
		return nil, p
	}
	w := walker{places: places}
	w.parser.Reset(text)
	root := newTable(Place{1, 1})
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
	at   Place
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
func (w *walker) open(root *Table, n *unstable.Node, array bool) *Table {
	parts := w.path(n)
	t := root
	for _, p := range parts[:len(parts)-1] {
		t = t.child(p)
	}
	last := parts[len(parts)-1]
	if !array {
		return t.child(last)
	}
	v := t.Values[last.name]
	if v == nil {
		v = &Value{Kind: unstable.ArrayTable, At: last.at}
		t.set(last.name, v, last.at)
	}
	item := newTable(last.at)
	v.Items = append(v.Items, &Value{Kind: unstable.Table, At: last.at, Table: item})
	return item
}

// child is the table under p, the newest one if p is an array of tables.
func (t *Table) child(p part) *Table {
	v := t.Values[p.name]
	switch {
	case v == nil:
		v = &Value{Kind: unstable.Table, At: p.at, Table: newTable(p.at)}
		t.set(p.name, v, p.at)
	case v.Table == nil && len(v.Items) > 0 && v.Items[len(v.Items)-1].Table != nil:
		return v.Items[len(v.Items)-1].Table
	case v.Table == nil: // cannot be after the decoder's check
		v.Table = newTable(p.at)
	}
	return v.Table
}

func (w *walker) keyValue(t *Table, n *unstable.Node) {
	parts := w.path(n)
	for _, p := range parts[:len(parts)-1] {
		t = t.child(p)
	}
	last := parts[len(parts)-1]
	t.set(last.name, w.value(n.Value(), last.at), last.at)
}

func (w *walker) value(n *unstable.Node, at Place) *Value {
	v := &Value{Kind: n.Kind, Text: string(n.Data), At: at}
	if n.Raw.Length > 0 {
		v.At = w.places.of(n.Raw.Offset)
	}
	switch n.Kind {
	case unstable.Array:
		for it := n.Children(); it.Next(); {
			v.Items = append(v.Items, w.value(it.Node(), at))
		}
	case unstable.InlineTable:
		v.Table = newTable(v.At)
		for it := n.Children(); it.Next(); {
			w.keyValue(v.Table, it.Node())
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

func (p places) of(offset uint32) Place {
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
func (p places) character(line, column int) Place {
	if line < 1 || line > len(p.lines) {
		return Place{line, column}
	}
	start := p.lines[line-1]
	end := min(start+column-1, len(p.text))
	return Place{line, utf8.RuneCount(p.text[start:max(start, end)]) + 1}
}
