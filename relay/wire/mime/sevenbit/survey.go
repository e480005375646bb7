package sevenbit

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"tenma/relay/wire/header"
	"tenma/relay/wire/mime"
)

// survey is a message as far as it matters here.
type survey struct {
	need    Need
	limits  mime.Limits
	root    *mime.Part
	parts   int
	places  map[*mime.Part]*place
	regions []region // of the whole message, in order

	signature string // a field that signs the body, "" for none
}

// kind is what a region is.
type kind uint8

const (
	heading kind = iota // the header section of a part, empty line included
	content             // the body of a part that has no parts itself
	filler              // delimiters and what stands around them
)

// region is a stretch of the message.
type region struct {
	end, len int64
	kind     kind
	part     *mime.Part
	label    string // Content-Transfer-Encoding to be, "" for as it is

	high    int64 // octets above 127
	equals  int64 // "=", which quoted-printable has to quote as well
	nul     bool
	foreign bool  // it is no UTF-8
	longest int64 // line, with its end
}

// passes reports that the host takes the region as it is.
func (s *survey) passes(r *region) bool {
	return (r.high == 0 || s.need != SevenBits) && !r.nul && r.longest <= MaxLine+2
}

// encoding gives the transfer encoding for a content that does not pass.
// Quoted-printable leaves text readable, as long as no more than one octet in four
// is quoted; from one in six on it is longer than base64. What was encoded
// already, and badly, is not text any more.
func (r *region) encoding() string {
	text := r.part.Is("text", "*") || r.part.Is("message", "*")
	encoded := known(r.part.Encoding)
	if text && !encoded && (r.high+r.equals)*4 <= r.len {
		return "quoted-printable"
	}
	return "base64"
}

// known reports an encoding that can be undone. All others are taken for none:
// what has octets above 127 under a name that nobody knows is hardly ever
// anything else than a misspelt "8bit".
func known(encoding string) bool {
	return strings.EqualFold(encoding, "quoted-printable") || strings.EqualFold(encoding, "base64")
}

// walk lists the regions of a part.
func (s *survey) walk(p, within *mime.Part, depth int) error {
	if s.parts++; depth >= s.limits.Depth || s.parts >= s.limits.Parts {
		return fmt.Errorf("%w: too many parts", ErrUnfit) // what lies deeper is not known
	}
	at := &place{within: within, header: len(s.regions)}
	if within != nil {
		at.sealed = s.places[within].sealed
	}
	if p.Is("multipart", "signed") || p.Is("multipart", "encrypted") { // RFC 1847 section 2
		at.sealed = "multipart/" + strings.ToLower(p.Subtype)
	}
	s.places[p] = at
	s.add(heading, p, p.Header.End)
	children := p.Children
	// A message within that is encoded although it must not be, and one with a
	// header in UTF-8, which may (RFC 6532 section 3.7), are like any content.
	if p.Message() && (known(p.Encoding) || !p.Is("message", "rfc822")) {
		children = nil
	}
	if len(children) == 0 {
		s.add(content, p, p.Body.End)
		return nil
	}
	for _, c := range children {
		s.filler(p, c.Header.Start)
		if err := s.walk(c, p, depth+1); err != nil {
			return err
		}
	}
	s.filler(p, p.Body.End)
	return nil
}

func (s *survey) filler(p *mime.Part, end int64) {
	if s.start() < end {
		s.add(filler, p, end)
	}
}

// start is where the next region begins.
func (s *survey) start() int64 {
	if len(s.regions) == 0 {
		return 0
	}
	return s.regions[len(s.regions)-1].end
}

func (s *survey) add(k kind, p *mime.Part, end int64) {
	from := s.start()
	end = max(end, from)
	s.regions = append(s.regions, region{kind: k, part: p, end: end, len: end - from})
}

// look fills in what the regions hold.
func (s *survey) look(r io.Reader) error {
	buf := make([]byte, 16<<10)
	for i := range s.regions {
		g := &s.regions[i]
		var col int64
		var text validator
		var head []byte
		for left := g.len; left > 0; {
			p := buf[:min(left, int64(len(buf)))]
			if _, err := io.ReadFull(r, p); err != nil {
				return err
			}
			left -= int64(len(p))
			col = g.count(p, col)
			g.foreign = g.foreign || !text.next(p)
			if g.kind == heading && len(head) <= s.limits.Header {
				head = append(head, p...)
			}
		}
		if col > 0 { // its line end belongs to what follows, or is missing
			g.longest = max(g.longest, col+2)
		}
		g.foreign = g.foreign || !text.end()
		if i == 0 {
			s.findSignature(header.Section(head))
		}
		if g.kind == heading && !s.passes(g) { // better now than when the host waits
			if _, err := rewrite(head, &step{need: s.need}); err != nil {
				return err
			}
		}
	}
	return nil
}

// count adds a piece of the region, before which col octets of its line came, and
// gives how many come before the next piece.
func (r *region) count(p []byte, col int64) int64 {
	for _, c := range p {
		if c >= 0x80 {
			r.high++
		}
	}
	r.equals += int64(bytes.Count(p, []byte{'='}))
	r.nul = r.nul || bytes.IndexByte(p, 0) >= 0
	for {
		i := bytes.IndexByte(p, '\n') + 1
		if i == 0 {
			return col + int64(len(p))
		}
		r.longest = max(r.longest, col+int64(i))
		p, col = p[i:], 0
	}
}

// findSignature notes a signature of the message's body in its header.
func (s *survey) findSignature(h header.Section) {
	for f := range h.Fields() {
		if f.Is("DKIM-Signature") || f.Is("ARC-Message-Signature") {
			s.signature = string(f.Name())
			return
		}
	}
}

// validator checks UTF-8 that comes in pieces.
type validator struct {
	part [utf8.UTFMax]byte
	n    int
}

func (v *validator) next(p []byte) bool {
	for v.n > 0 && len(p) > 0 {
		v.part[v.n] = p[0]
		v.n++
		p = p[1:]
		if utf8.FullRune(v.part[:v.n]) {
			if !utf8.Valid(v.part[:v.n]) {
				return false
			}
			v.n = 0
		}
	}
	end := len(p)
	for i := max(0, end-utf8.UTFMax+1); i < end; i++ {
		if utf8.RuneStart(p[i]) && !utf8.FullRune(p[i:]) {
			v.n = copy(v.part[:], p[i:])
			end = i
			break
		}
	}
	return utf8.Valid(p[:end])
}

func (v *validator) end() bool { return v.n == 0 }
