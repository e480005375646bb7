package mime

import (
	"strings"
)

// Range is a piece of a message: the octets from Start up to, not including,
// End.
type Range struct{ Start, End int64 }

// Len is the number of octets.
func (r Range) Len() int64 { return r.End - r.Start }

// Part is one part of a message, or the message itself.
//
// Parts lie within the Body of the part that holds them, in rising order, and
// do not overlap. Texts are as the message has them, unfolded, comments and
// quotation marks removed where the field's syntax has such; they may have
// octets above 127, never a line end or NUL.
type Part struct {
	// Header includes the empty line at its end, where there is one.
	Header Range
	// Body of a part that is followed by a delimiter is without the line end
	// before that: it belongs to the delimiter (RFC 2046 section 5.1.1).
	Body Range
	// Lines are the line feeds in Body.
	Lines int64

	// Type and Subtype are never empty. Part.Is compares them.
	Type, Subtype string
	// Params of the Content-Type. Those of text always have a charset.
	Params []Param
	// Encoding is Content-Transfer-Encoding's word, "7bit" if there is none.
	Encoding    string
	ID          string // Content-ID
	Description string // Content-Description
	MD5         string // Content-MD5
	Location    string // Content-Location
	Language    []string
	Disposition string // "" if there is none
	// DispositionParams are those of the Content-Disposition.
	DispositionParams []Param

	// Envelope is set for the message itself and for one within.
	Envelope *Envelope
	// Children of a multipart are its parts, at least one. The one child of
	// message/rfc822 and message/global is the message within.
	Children []*Part
}

// Param is a parameter of a Content-Type or Content-Disposition. Values that
// were split are joined (RFC 2231 section 3); those with a charset stay encoded,
// and the name keeps its asterisk then, which is how IMAP shows them (RFC 2231
// section 7).
type Param struct{ Name, Value string }

// Is tells whether a part is of a type; subtype "*" stands for any.
func (p *Part) Is(typ, subtype string) bool {
	return strings.EqualFold(p.Type, typ) && (subtype == "*" || strings.EqualFold(p.Subtype, subtype))
}

// Multipart tells whether Children are the parts of a multipart.
func (p *Part) Multipart() bool { return len(p.Children) > 0 && p.Is("multipart", "*") }

// Message tells whether the part holds a message, which is Children[0].
func (p *Part) Message() bool { return len(p.Children) > 0 && !p.Is("multipart", "*") }

// Param gives the value of a Content-Type's parameter, "" if there is none.
func (p *Part) Param(name string) string { return param(p.Params, name) }

func param(list []Param, name string) string {
	for _, p := range list {
		if strings.EqualFold(p.Name, name) {
			return p.Value
		}
	}
	return ""
}

// Filename is the name that the sender gave to the part, decoded to UTF-8 (RFC
// 2231, and RFC 2047, which many use against its section 5); "" if there is
// none. It may be anything, paths included.
func (p *Part) Filename() string {
	for _, try := range []struct {
		list []Param
		name string
	}{{p.DispositionParams, "filename"}, {p.Params, "name"}} {
		if v := param(try.list, try.name+"*"); v != "" {
			return decodeExtended(v)
		}
		if v := param(try.list, try.name); v != "" {
			return DecodeHeader(v)
		}
	}
	return ""
}

// Limits bound what Parse keeps of a message. Zero fields take DefaultLimits'.
type Limits struct {
	// Depth is how deep multiparts and messages may lie in one another. One that
	// lies deeper is not opened: it is shown as application/octet-stream.
	Depth int
	// Parts of the whole message. What comes behind the last belongs to no part,
	// like the text behind a multipart.
	Parts int
	// Header is how many octets of each header section are looked at.
	Header int
	// Texts bounds the octets of all texts and addresses kept. Fields that come
	// when it is used up are as if absent.
	Texts int
}

// DefaultLimits: mail that people write has up to some ten levels, some hundred
// parts (forwarded digests) and some ten KiB of header.
func DefaultLimits() Limits {
	return Limits{Depth: 100, Parts: 10_000, Header: 256 << 10, Texts: 4 << 20}
}

func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	for _, f := range []struct{ v, d *int }{{&l.Depth, &d.Depth}, {&l.Parts, &d.Parts}, {&l.Header, &d.Header}, {&l.Texts, &d.Texts}} {
		if *f.v <= 0 {
			*f.v = *f.d
		}
	}
	return l
}

// What says which piece of a part or message is meant.
type What uint8

// Pieces, as in IMAP's section-text (RFC 9051 section 6.4.5.1).
const (
	All    What = iota // nothing said: the body of a part, or the whole message
	Header             // HEADER: of a message
	Text               // TEXT: the body of a message
	MIME               // MIME: the header of a part
)

// Find gives the part with these numbers, counted from 1, as IMAP counts: the
// number of a message's part within the message follows that of the
// message/rfc822 part, and a message that is no multipart has a part 1, itself
// (RFC 9051 section 6.4.5). No numbers: the message itself. nil: there is none.
func (p *Part) Find(path []int) *Part {
	within := p // a message or a multipart
	for i, n := range path {
		part := within
		if within.Multipart() {
			if n < 1 || n > len(within.Children) {
				return nil
			}
			part = within.Children[n-1]
		} else if n != 1 {
			return nil
		}
		switch {
		case i == len(path)-1:
			return part
		case part.Message():
			within = part.Children[0]
		case part.Multipart():
			within = part
		default:
			return nil
		}
	}
	return p
}

// Section gives the place of what IMAP calls BODY[path.what] in the message p.
// ok is false if there is no such thing.
func (p *Part) Section(path []int, what What) (r Range, ok bool) {
	part := p.Find(path)
	if part == nil {
		return Range{}, false
	}
	message := part
	if len(path) > 0 {
		switch {
		case what == All:
			return part.Body, true
		case what == MIME:
			return part.Header, true
		case !part.Message():
			return Range{}, false // only messages have a HEADER and a TEXT
		}
		message = part.Children[0]
	}
	switch what {
	case All:
		return Range{message.Header.Start, message.Body.End}, true
	case Header:
		return message.Header, true
	case Text:
		return message.Body, true
	}
	return Range{}, false
}
