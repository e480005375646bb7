package dkim

import (
	"bytes"
	"errors"
	"strings"
)

// maxTags bounds the tags of one list. DKIM knows 13 for a signature and 8 for a
// key; others are passed over (RFC 6376 section 3.2).
const maxTags = 64

// Tags is a list of tags (RFC 6376 section 3.2): what signatures, ARC fields and
// key records are written in.
type Tags []Tag

// Tag is one name=value, without the white space around both.
type Tag struct {
	Name, Value string
	// start and end are where the value stands in what was read, white space
	// around it included.
	start, end int
}

// Errors of ParseTags.
var (
	errTag      = errors.New("malformed tag")
	errTwice    = errors.New("tag occurs twice")
	errManyTags = errors.New("too many tags")
)

// ParseTags reads a list of tags. A name that occurs twice makes the whole list
// invalid.
func ParseTags(text []byte) (Tags, error) {
	var all Tags
	for at := 0; at < len(text); {
		end := len(text)
		if n := bytes.IndexByte(text[at:], ';'); n >= 0 {
			end = at + n
		}
		spec := text[at:end]
		switch eq := bytes.IndexByte(spec, '='); {
		case eq < 0 && len(trim(spec)) == 0:
			// What follows the last semicolon. An empty tag elsewhere is not
			// allowed, and harmless.
		case eq < 0:
			return nil, errTag
		default:
			t := Tag{Name: string(trim(spec[:eq])), Value: string(trim(spec[eq+1:])), start: at + eq + 1, end: end}
			if !isTagName(t.Name) {
				return nil, errTag
			}
			if all.find(t.Name) != nil {
				return nil, errTwice
			}
			if len(all) == maxTags {
				return nil, errManyTags
			}
			all = append(all, t)
		}
		at = end + 1
	}
	return all, nil
}

// Has reports that there is a tag of this name.
func (t Tags) Has(name string) bool { return t.find(name) != nil }

// Get gives the value of a tag, "" if there is none.
func (t Tags) Get(name string) string {
	if tag := t.find(name); tag != nil {
		return tag.Value
	}
	return ""
}

// Packed is Get without any white space within: values may be folded where their
// syntax allows white space.
func (t Tags) Packed(name string) string { return pack(t.Get(name)) }

// List gives the members of a value that are set apart by colons.
func (t Tags) List(name string) []string {
	if !t.Has(name) {
		return nil
	}
	members := strings.Split(t.Get(name), ":")
	for i, m := range members {
		members[i] = pack(m)
	}
	return members
}

func (t Tags) find(name string) *Tag {
	for i := range t {
		if t[i].Name == name {
			return &t[i]
		}
	}
	return nil
}

// isTagName reports tag-name: ALPHA *ALNUMPUNC.
func isTagName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if letter := c|0x20 >= 'a' && c|0x20 <= 'z'; !letter && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != ""
}

func trim(b []byte) []byte { return bytes.Trim(b, " \t\r\n") }

// pack takes white space out of s.
func pack(s string) string {
	if !strings.ContainsAny(s, " \t\r\n") {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '\t' || r == '\r' || r == '\n' {
			return -1
		}
		return r
	}, s)
}
