package mime

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"tenma/relay/wire/header"
)

const (
	scanBuffer  = 64 << 10
	maxBoundary = 1000 // RFC 2046 section 5.1.1 allows 70; not all keep to it
)

// Parse reads the message in the first size octets of r and gives its tree. It
// reads each octet once, in order, 64 KiB at a time. The error is that of
// reading.
func Parse(r io.ReaderAt, size int64, limits Limits) (*Part, error) {
	p := newParser(limits)
	lines := newScanner(r, 0, size)
	for {
		piece, start, err := lines.next()
		if err != nil {
			return nil, err
		}
		if len(piece) == 0 {
			break
		}
		p.line(piece, start)
	}
	return p.end(size), nil
}

// ReadHeader reads the header section at the start of the message in r, with
// the limit of Limits.Header (0: the default's). What lies beyond is left out;
// whole says that nothing was.
func ReadHeader(r io.ReaderAt, size int64, limit int) (h header.Section, whole bool, err error) {
	if limit <= 0 {
		limit = DefaultLimits().Header
	}
	var (
		buf      []byte
		searched int
	)
	for step := 8 << 10; ; step = len(buf) {
		n := int(min(int64(step), int64(limit-len(buf)), size-int64(len(buf))))
		if n <= 0 {
			return header.Section(buf), int64(len(buf)) == size, nil
		}
		buf = append(buf, make([]byte, n)...)
		got, err := r.ReadAt(buf[searched:], int64(searched))
		if got < n {
			return nil, false, readError(err)
		}
		if end, _, ok := header.End(buf, searched); ok {
			return header.Section(buf[:end]), true, nil
		}
		searched = len(buf)
	}
}

func readError(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// scanner gives the lines of a range of a message.
type scanner struct {
	r        io.ReaderAt
	buf      []byte
	rest     []byte // of buf, not yet given out
	off, end int64  // what comes behind rest
}

func newScanner(r io.ReaderAt, start, end int64) scanner {
	return scanner{r: r, buf: make([]byte, max(min(scanBuffer, end-start), 0)), off: start, end: end}
}

// next gives the next line with its end, or a piece of one that is longer than
// the buffer. start is its place. At the end it gives nothing. The piece is good
// until the next call.
func (s *scanner) next() (piece []byte, start int64, err error) {
	i := bytes.IndexByte(s.rest, '\n')
	if i < 0 && s.off < s.end {
		kept := copy(s.buf, s.rest)
		n := int(min(int64(len(s.buf)-kept), s.end-s.off))
		if got, err := s.r.ReadAt(s.buf[kept:kept+n], s.off); got < n {
			return nil, 0, readError(err)
		}
		s.rest = s.buf[:kept+n]
		s.off += int64(n)
		i = bytes.IndexByte(s.rest[kept:], '\n')
		if i >= 0 {
			i += kept
		}
	}
	start = s.off - int64(len(s.rest))
	if i < 0 {
		i = len(s.rest) - 1
	}
	piece, s.rest = s.rest[:i+1], s.rest[i+1:]
	return piece, start, nil
}

// place is a place in the message, and how many line feeds lie before it.
type place struct{ at, feeds int64 }

// open is a part whose end has not come yet.
type open struct {
	part     *Part
	boundary string // of a multipart; "" when its last delimiter was seen
	digest   bool
	body     place
}

// parser is at a line of the message.
type parser struct {
	limits   Limits
	root     *Part
	keep     keeper
	stack    []open // from the message inwards
	parts    int
	inHeader bool // of the innermost
	head     []byte
	headFull bool

	feeds  int64 // line feeds before the line
	cut    place // the line end before the line
	inLine bool  // the piece is not the start of its line
}

func newParser(limits Limits) *parser {
	p := &parser{limits: limits.orDefault()}
	p.keep.left = p.limits.Texts
	p.root = p.push(nil, 0)
	return p
}

// end is called behind the last line, with the size of the message.
func (p *parser) end(size int64) *Part {
	end := place{size, p.feeds}
	p.close(0, end, end)
	return p.root
}

// line takes the next line, or a piece of a long one.
func (p *parser) line(piece []byte, start int64) {
	ended := piece[len(piece)-1] == '\n'
	if !p.inLine && len(piece) > 2 && piece[0] == '-' && piece[1] == '-' && p.delimiter(piece, start) {
		// what stands behind it on its line was looked at
	} else if p.inHeader {
		if !p.inLine && (piece[0] == '\n' || len(piece) == 2 && piece[0] == '\r' && ended) {
			p.endHeader(place{start + int64(len(piece)), p.feeds + 1})
		} else if p.headFull = p.headFull || len(p.head)+len(piece) > p.limits.Header; !p.headFull {
			p.head = append(p.head, piece...)
		}
	}
	p.inLine = !ended
	if ended {
		p.cut = place{start + int64(len(piece)) - 1, p.feeds}
		if len(piece) > 1 && piece[len(piece)-2] == '\r' {
			p.cut.at--
		}
		p.feeds++
	}
}

// delimiter looks whether a line that begins with two hyphens separates parts
// of a multipart that is open (RFC 2046 section 5.1.1). Those within it end,
// whether or not their own last delimiter came (section 5.1.2).
func (p *parser) delimiter(line []byte, start int64) bool {
	if len(line) > maxBoundary+8 {
		return false
	}
	text := bytes.TrimRight(line[2:], " \t\r\n")
	for i := len(p.stack) - 1; i >= 0; i-- {
		b := p.stack[i].boundary
		if b == "" || len(text) < len(b) || string(text[:len(b)]) != b {
			continue
		}
		last := string(text[len(b):]) == "--"
		if len(text) > len(b) && !last {
			continue
		}
		here := place{start, p.feeds}
		p.close(i+1, p.cut, here)
		if last {
			p.stack[i].boundary = ""
		} else if p.parts < p.limits.Parts {
			parent := &p.stack[i]
			after := start + int64(len(line))
			p.push(parent.part, after)
		}
		return true
	}
	return false
}

// push begins a part.
func (p *parser) push(parent *Part, at int64) *Part {
	part := &Part{Header: Range{at, at}}
	p.parts++
	if parent != nil {
		parent.Children = append(parent.Children, part)
	}
	p.stack = append(p.stack, open{part: part})
	p.inHeader, p.head, p.headFull = true, p.head[:0], false
	return part
}

// endHeader ends the header section of the innermost part at a place, and opens
// the message in its body if it is one.
func (p *parser) endHeader(at place) {
	p.inHeader = false
	i := len(p.stack) - 1
	in := &p.stack[i]
	part := in.part
	part.Header.End, part.Body, in.body = at.at, Range{at.at, at.at}, at

	section := header.Section(p.head)
	digest := i > 0 && p.stack[i-1].digest
	boundary := p.describe(part, section, digest)
	message := part.Is("message", "rfc822") || part.Is("message", "global")
	if i == 0 || p.stack[i-1].part.Is("message", "*") {
		part.Envelope = p.keep.envelope(section)
	}
	switch {
	case boundary == "" && !message:
	case i >= p.limits.Depth || p.parts >= p.limits.Parts:
		part.Type, part.Subtype, part.Params = "application", "octet-stream", nil
	case message:
		p.push(part, at.at)
	default:
		in.boundary, in.digest = boundary, part.Is("multipart", "digest")
	}
}

// close ends the parts from number down on, before a delimiter at here whose
// line end is at cut. A part that begins behind cut ends here, with all that
// are around it.
func (p *parser) close(down int, cut, here place) {
	for len(p.stack) > down {
		if p.inHeader {
			p.endHeader(here)
			continue // which may have opened a message
		}
		in := &p.stack[len(p.stack)-1]
		part, end := in.part, cut
		last := in.body.at
		if n := len(part.Children); n > 0 {
			last = part.Children[n-1].Body.End
		}
		if end.at < last {
			end = here
		}
		part.Body.End, part.Lines = end.at, end.feeds-in.body.feeds
		if len(part.Children) == 0 && part.Is("multipart", "*") {
			// A multipart has parts (RFC 9051 section 9, body-type-mpart): an empty
			// text, as the delimiters that are missing leave none.
			p.parts++
			at := Range{end.at, end.at}
			empty := &Part{Header: at, Body: at}
			p.describe(empty, nil, false)
			part.Children = []*Part{empty}
		}
		p.stack = p.stack[:len(p.stack)-1]
	}
}

// describe reads the fields of a part, and gives the boundary of a multipart.
// In a multipart/digest a part is a message unless it says otherwise (RFC 2046
// section 5.1.5).
func (p *parser) describe(part *Part, h header.Section, digest bool) (boundary string) {
	part.Encoding = "7bit" // RFC 2045 section 6.1
	var seen fieldSet
	for f := range h.Fields() {
		name := f.Raw
		if len(name) < len("content-id:") || name[0]|0x20 != 'c' || name[7] != '-' {
			continue
		}
		which, ok := contentField(f)
		if !ok || seen.has(which) {
			continue // of several the first counts
		}
		seen.add(which)
		switch which {
		case contentType:
			boundary = p.contentType(part, f.Text())
		case contentEncoding:
			if w := (&lexer{s: f.Text()}).token(); w != "" {
				part.Encoding = p.keep.short(w, "7bit")
			}
		case contentID:
			part.ID = p.keep.text(clean(f.Text()))
		case contentDescription:
			part.Description = p.keep.text(clean(f.Text()))
		case contentMD5:
			part.MD5 = p.keep.text(clean(f.Text()))
		case contentLocation:
			part.Location = p.keep.text(clean(f.Text()))
		case contentLanguage:
			part.Language = p.keep.words(f.Text())
		case contentDisposition:
			l := lexer{s: f.Text()}
			if part.Disposition = p.keep.text(l.token()); part.Disposition != "" {
				part.DispositionParams = p.keep.params(joinParams(l.params()))
			}
		}
	}
	if part.Type == "" {
		part.Type, part.Subtype = "text", "plain" // RFC 2045 section 5.2
		if digest && !seen.has(contentType) {
			part.Type, part.Subtype = "message", "rfc822"
		}
	}
	if part.Is("text", "*") && param(part.Params, "charset") == "" && param(part.Params, "charset*") == "" {
		part.Params = append(part.Params, Param{"charset", "us-ascii"})
	}
	return boundary
}

// contentType reads the field of that name. A value that cannot be understood,
// a multipart without boundary included, is as none (RFC 2045 section 5.2).
func (p *parser) contentType(part *Part, text string) (boundary string) {
	l := lexer{s: text}
	typ := l.token()
	if !l.skip('/') {
		if typ == "" || !strings.EqualFold(typ, "text") {
			return ""
		}
	}
	subtype := l.token()
	if subtype == "" {
		subtype = "plain"
		if !strings.EqualFold(typ, "text") {
			return ""
		}
	}
	params := joinParams(l.params())
	if strings.EqualFold(typ, "multipart") {
		boundary = strings.TrimRight(param(params, "boundary"), " \t")
		if boundary == "" || len(boundary) > maxBoundary {
			return ""
		}
	}
	if len(typ) > maxWord || len(subtype) > maxWord {
		return ""
	}
	part.Type, part.Subtype = intern(typ), intern(subtype)
	part.Params = p.keep.params(params)
	return strings.Clone(boundary)
}
