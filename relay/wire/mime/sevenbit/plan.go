package sevenbit

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"tenma/relay/wire/mime"
)

// Need is what a host cannot take.
type Need uint8

// The needs. NUL passes under neither.
const (
	SevenBits  Need = iota // octets above 127, and long lines
	ShortLines             // lines of more than MaxLine octets
)

// ErrUnfit is wrapped by errors that say why a message has no such form.
var ErrUnfit = errors.New("the message cannot be converted")

// MaxLine is the longest line, in octets without its end (RFC 5322 section
// 2.1.1; with it the 1,000 of RFC 5321 section 4.5.3.1.6).
const MaxLine = 998

// Plan is what has to be done to a message. It never changes and may be used
// from any goroutine.
type Plan struct {
	// Breaks names what no longer fits the text after the conversion: the field
	// of a signature, or a signed or encrypted multipart; "" for nothing.
	Breaks string

	steps []step
}

// step is one piece of the message, from the end of the one before it to end.
type step struct {
	end int64
	do  action
	// Of a content: how its octets are encoded; of a header: its new label, ""
	// for none.
	from, to string
	need     Need
	message  bool   // the header is that of a message, which must say that it is MIME
	charset  string // of its text, should the header have no Content-Type
	last     bool   // the content ends the message
}

// action is what happens to a piece.
type action uint8

const (
	keep   action = iota // as it is
	scrub                // octets that do not pass are replaced: nobody reads this text
	fields               // header fields
	encode               // content
)

// Unchanged reports that the message passes as it is.
func (p *Plan) Unchanged() bool {
	for _, s := range p.steps {
		if s.do != keep {
			return false
		}
	}
	return true
}

// Steps is a measure of the memory that p takes: some 80 octets each.
func (p *Plan) Steps() int { return len(p.steps) }

// NewPlan makes the plan for a need and a message of size octets, which open
// opens, each time from the start. Errors wrap ErrUnfit or are those of reading.
func NewPlan(size int64, n Need, open func() (io.ReadCloser, error)) (*Plan, error) {
	s := survey{need: n, limits: mime.DefaultLimits(), places: map[*mime.Part]*place{}}
	if err := each(open, func(r io.Reader) (err error) {
		s.root, err = mime.Parse(&inOrder{r: r}, size, s.limits)
		return err
	}); err != nil {
		return nil, err
	}
	if err := s.walk(s.root, nil, 0); err != nil {
		return nil, err
	}
	s.filler(s.root, size)
	if err := each(open, s.look); err != nil {
		return nil, err
	}
	return s.plan(size)
}

func each(open func() (io.ReadCloser, error), do func(io.Reader) error) error {
	r, err := open()
	if err != nil {
		return err
	}
	return errors.Join(do(r), r.Close())
}

// inOrder lets mime.Parse, which goes from front to back, read a stream.
type inOrder struct {
	r  io.Reader
	at int64
}

func (s *inOrder) ReadAt(p []byte, off int64) (int, error) {
	if off != s.at {
		return 0, fmt.Errorf("sevenbit: read at %d, not %d", off, s.at)
	}
	n, err := io.ReadFull(s.r, p)
	s.at += int64(n)
	return n, err
}

// place is where a part stands among the others.
type place struct {
	within *mime.Part
	header int    // its header's number among the regions
	sealed string // the signed or encrypted multipart around it, or itself
}

// seal names the multipart whose signature a change of the region breaks.
func (s *survey) seal(r *region) string {
	at := s.places[r.part]
	if r.kind != heading {
		return at.sealed
	}
	if at.within == nil {
		return ""
	}
	return s.places[at.within].sealed // its own header is not signed
}

// charset tells of the text behind header number i.
func (s *survey) charset(i int) string {
	switch i++; {
	case i == len(s.regions) || s.regions[i].high == 0:
		return "us-ascii"
	case s.regions[i].foreign:
		return "unknown-8bit" // RFC 1428 section 3
	}
	return "utf-8"
}

// change labels a part's header, and those of what it lies in, which has nothing
// above 127 any more; where only lines are too long, other parts may.
func (s *survey) change(p *mime.Part, label string) {
	for ; p != nil; p, label = s.places[p].within, "7bit" {
		h := &s.regions[s.places[p].header]
		if label == "7bit" && (s.need != SevenBits || h.label != "" || strings.EqualFold(p.Encoding, "7bit")) {
			continue // it has another one, or none that is wrong
		}
		h.label = label
	}
}

// plan decides about every region.
func (s *survey) plan(size int64) (*Plan, error) {
	p := &Plan{steps: make([]step, 0, len(s.regions))}
	for i := range s.regions {
		r := &s.regions[i]
		if !s.passes(r) {
			if err := s.decide(r); err != nil {
				return nil, err
			}
			if seal := s.seal(r); seal != "" {
				p.Breaks = seal
			}
		}
	}
	for i := range s.regions {
		r := &s.regions[i]
		st := step{end: r.end, need: s.need}
		switch {
		case r.kind == heading && (r.label != "" || !s.passes(r)):
			if r.len > int64(s.limits.Header) {
				return nil, fmt.Errorf("%w: a header section of %d octets", ErrUnfit, r.len)
			}
			st.do, st.to = fields, r.label
			st.message = r.part.Envelope != nil && r.label != ""
			st.charset = s.charset(i)
		case s.passes(r):
		case r.kind == content:
			st.do, st.from, st.to, st.last = encode, r.part.Encoding, r.label, r.end == size
		default:
			st.do = scrub
		}
		if last := len(p.steps) - 1; st.do == keep && last >= 0 && p.steps[last].do == keep {
			p.steps[last].end = st.end
			continue
		}
		p.steps = append(p.steps, st)
	}
	if p.Breaks == "" && s.signature != "" && !p.Unchanged() {
		p.Breaks = s.signature
	}
	return p, nil
}

// decide says how a region that does not pass is made to.
func (s *survey) decide(r *region) error {
	p := r.part
	switch {
	case r.kind == heading:
		s.change(s.places[p].within, "7bit")
		return nil
	case r.kind == filler:
		if !p.Multipart() || hollow(p) {
			// The delimiters are missing, so this may be what the sender wrote.
			return fmt.Errorf("%w: a %s/%s without parts", ErrUnfit, p.Type, p.Subtype)
		}
		s.change(p, "7bit")
		return nil
	case p.Is("multipart", "*"), p.Is("message", "partial"), p.Is("message", "external-body"):
		// RFC 2046 sections 5.2.2.1 and 5.2.3: these may not be encoded.
		return fmt.Errorf("%w: a %s/%s", ErrUnfit, p.Type, p.Subtype)
	}
	r.label = r.encoding()
	s.change(p, r.label)
	return nil
}

// hollow reports a multipart in which no delimiter stands: it has one empty
// part, at its end.
func hollow(p *mime.Part) bool {
	c := p.Children[0]
	return len(p.Children) == 1 && c.Header.Len() == 0 && c.Body.Len() == 0
}
