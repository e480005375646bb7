package imap

import (
	"strconv"
	"strings"
)

// Item is one thing that FETCH asks for.
type Item struct {
	Kind    Kind
	Section Section // of BodySection, Binary and BinarySize
}

// Kind is what an Item is.
type Kind uint8

// The items of RFC 9051 section 6.4.5 and RFC 3501 section 6.4.5, and those of
// extensions.
const (
	UID Kind = iota
	Flags
	InternalDate
	Size // RFC822.SIZE
	Envelope
	Body          // BODY without a section: the structure, without extension data
	BodyStructure // the structure
	BodySection   // BODY[...]
	RFC822        // BODY[] under another name
	RFC822Header
	RFC822Text
	Binary     // RFC 3516
	BinarySize // RFC 3516
	ModSeq     // RFC 7162
	SaveDate   // RFC 8514
)

// Section names a piece of a message.
type Section struct {
	Part    []int // numbers, from 1; none: the message
	Text    Text  // what of it
	Fields  []string
	Peek    bool // \Seen is not to be set
	Partial bool
	Offset  int64 // of Partial
	Count   int64 // of Partial
}

// Text is the section-text of RFC 9051 section 9.
type Text string

// The section texts, as written.
const (
	All             Text = ""
	Header          Text = "HEADER"
	HeaderFields    Text = "HEADER.FIELDS"
	HeaderFieldsNot Text = "HEADER.FIELDS.NOT"
	TextOnly        Text = "TEXT"
	MIME            Text = "MIME"
)

// Bounds of one FETCH. Mail programs ask for a dozen items, thirty header
// fields, and parts three levels deep.
const (
	maxItems  = 100
	maxFields = 200
	maxDepth  = 50 // levels of a part number
	maxPart   = 1 << 20
)

// FetchOptions are the modifiers of FETCH (RFC 4466 section 2.4).
type FetchOptions struct {
	ChangedSince uint64 // RFC 7162 section 3.1.4.1; 0: not given
}

// Fetch reads what FETCH has behind its set: items, and modifiers.
func (p *Parser) Fetch() (items []Item, opts FetchOptions) {
	add := func(i ...Item) {
		items = append(items, i...)
		if len(items) > maxItems {
			p.Fail("FETCH may ask for %d items at most", maxItems)
		}
	}
	if p.Peek() == '(' {
		p.List(func() { add(p.item()) })
	} else if macro := p.macro(); macro != nil {
		add(macro...)
	} else {
		add(p.item())
	}
	if p.Take(' ') {
		p.List(func() {
			switch name := p.Keyword(); name {
			case "CHANGEDSINCE":
				p.SP()
				opts.ChangedSince = p.ModSeq()
			default:
				p.Fail("unknown FETCH modifier %.40s", name)
			}
		})
	}
	return items, opts
}

// ModSeq reads a mod-sequence above 0 (RFC 7162 section 7).
func (p *Parser) ModSeq() uint64 {
	n := p.Number64()
	if n == 0 {
		p.Fail("a mod-sequence is above 0")
	}
	return uint64(n) //nolint:gosec // not negative
}

// macro reads ALL, FAST or FULL (RFC 9051 section 6.4.5), nil if it is none.
func (p *Parser) macro() []Item {
	at := p.at
	word := strings.ToUpper(p.run("an item", atomChar))
	fast := []Item{{Kind: Flags}, {Kind: InternalDate}, {Kind: Size}}
	switch word {
	case "ALL":
		return append(fast, Item{Kind: Envelope})
	case "FAST":
		return fast
	case "FULL":
		return append(fast, Item{Kind: Envelope}, Item{Kind: Body})
	}
	p.at = at
	return nil
}

func (p *Parser) item() Item {
	name := p.Keyword()
	if p.Peek() == '[' {
		return p.sectionItem(name)
	}
	switch name {
	case "UID":
		return Item{Kind: UID}
	case "FLAGS":
		return Item{Kind: Flags}
	case "INTERNALDATE":
		return Item{Kind: InternalDate}
	case "RFC822.SIZE":
		return Item{Kind: Size}
	case "ENVELOPE":
		return Item{Kind: Envelope}
	case "BODY":
		return Item{Kind: Body}
	case "BODYSTRUCTURE":
		return Item{Kind: BodyStructure}
	case "RFC822":
		return Item{Kind: RFC822}
	case "RFC822.HEADER":
		return Item{Kind: RFC822Header, Section: Section{Text: Header, Peek: true}}
	case "RFC822.TEXT":
		return Item{Kind: RFC822Text, Section: Section{Text: TextOnly}}
	case "MODSEQ":
		return Item{Kind: ModSeq}
	case "SAVEDATE":
		return Item{Kind: SaveDate}
	}
	p.Fail("unknown FETCH item %.40s", name)
	return Item{}
}

func (p *Parser) sectionItem(name string) Item {
	var it Item
	switch name {
	case "BODY":
		it.Kind = BodySection
	case "BODY.PEEK":
		it.Kind, it.Section.Peek = BodySection, true
	case "BINARY":
		it.Kind = Binary
	case "BINARY.PEEK":
		it.Kind, it.Section.Peek = Binary, true
	case "BINARY.SIZE":
		it.Kind, it.Section.Peek = BinarySize, true
	default:
		p.Fail("%.40s has no section", name)
		return it
	}
	p.Expect('[')
	p.section(&it.Section, it.Kind != BodySection)
	p.Expect(']')
	if it.Kind != BinarySize && p.Take('<') {
		it.Section.Partial = true
		it.Section.Offset = p.Number64()
		p.Expect('.')
		if it.Section.Count = p.Number64(); it.Section.Count == 0 {
			p.Fail("a partial fetch is of one octet at least") // nz-number64
		}
		p.Expect('>')
	}
	return it
}

// section reads section-spec; of BINARY it is a part number alone.
func (p *Parser) section(s *Section, binary bool) {
	for c := p.Peek(); c >= '0' && c <= '9'; c = p.Peek() {
		n := p.Number64()
		if n == 0 || n > maxPart || len(s.Part) >= maxDepth {
			p.Fail("no such part number")
		}
		s.Part = append(s.Part, int(n))
		if !p.Take('.') {
			return
		}
		if c := p.Peek(); binary && (c < '0' || c > '9') {
			p.expected("a part number")
		}
	}
	if binary || p.Peek() == ']' {
		if len(s.Part) > 0 { // after a dot
			p.expected("HEADER, TEXT or MIME")
		}
		return
	}
	s.Text = Text(p.Keyword())
	switch s.Text {
	case Header, TextOnly:
	case MIME:
		if len(s.Part) == 0 {
			p.Fail("MIME needs a part number") // RFC 9051 section 6.4.5.1
		}
	case HeaderFields, HeaderFieldsNot:
		p.SP()
		p.List(func() {
			s.Fields = append(s.Fields, p.AString())
			if len(s.Fields) > maxFields {
				p.Fail("%d header fields can be named at most", maxFields)
			}
		})
	default:
		p.Fail("unknown section %.40s", string(s.Text))
	}
}

// ItemName writes what an item is called in a FETCH response.
func (w *Writer) ItemName(i *Item) {
	switch i.Kind {
	case BodySection:
		w.Raw("BODY[")
	case Binary:
		w.Raw("BINARY[")
	case BinarySize:
		w.Raw("BINARY.SIZE[")
	default:
		w.Raw(kindNames(i.Kind))
		return
	}
	for n, part := range i.Section.Part {
		if n > 0 {
			w.Raw(".")
		}
		w.Raw(strconv.Itoa(part))
	}
	if i.Section.Text != All {
		if len(i.Section.Part) > 0 {
			w.Raw(".")
		}
		w.Raw(string(i.Section.Text))
	}
	if len(i.Section.Fields) > 0 {
		w.Raw(" (")
		for n, f := range i.Section.Fields {
			if n > 0 {
				w.Raw(" ")
			}
			w.AString(f)
		}
		w.Raw(")")
	}
	w.Raw("]")
	if i.Section.Partial && i.Kind != BinarySize {
		w.Raw("<")
		w.Number(i.Section.Offset)
		w.Raw(">")
	}
}

func kindNames(k Kind) string {
	switch k {
	case UID:
		return "UID"
	case Flags:
		return "FLAGS"
	case InternalDate:
		return "INTERNALDATE"
	case Size:
		return "RFC822.SIZE"
	case Envelope:
		return "ENVELOPE"
	case Body:
		return "BODY"
	case BodyStructure:
		return "BODYSTRUCTURE"
	case RFC822:
		return "RFC822"
	case RFC822Header:
		return "RFC822.HEADER"
	case RFC822Text:
		return "RFC822.TEXT"
	case ModSeq:
		return "MODSEQ"
	case SaveDate:
		return "SAVEDATE"
	}
	return "?"
}
