package front

import (
	"bytes"

	"tenma/relay/wire/smtp"
)

// lines brings the content of a message into canonical form as it passes:
// every line ends with CRLF, the dots of DATA are unstuffed (RFC 5321 section
// 4.5.2), a bare CR or LF is refused or mended. It is a plain function of its
// fields and the octets that it is given.
type lines struct {
	dots    bool // DATA: lines may be stuffed, and one ends it all
	mendLF  bool // a bare LF is a line end
	skip    bool // nothing is refused or emitted; only the end is looked for
	maxLine int  // octets in a line; 0: any number

	inLine  bool // not at the beginning of a line
	afterLF bool // the line before ended with a bare LF
	cr      bool // the last octet of a chunk was a CR; what follows is not known yet
	col     int  // octets of the line so far
	longest int  // octets of the longest complete line, without its end
}

// Refusals of content. 5.6.0 is "other or undefined media error" (RFC 3463
// section 3.7).
func refuseCR() error {
	return smtp.Errorf(550, smtp.Status{5, 6, 0}, "bare CR in message; lines end with CRLF (RFC 5321 section 2.3.8)")
}

func refuseLF() error {
	return smtp.Errorf(550, smtp.Status{5, 6, 0}, "bare LF in message; lines end with CRLF (RFC 5321 section 2.3.8)")
}

func refuseLine(limit int) error {
	return smtp.Errorf(550, smtp.Status{5, 6, 0}, "line longer than %d octets", limit)
}

var crlf = []byte("\r\n")

// step works through as much of p as can be judged and hands it to emit in
// pieces as long as possible. It gives how many octets it has dealt with: all
// of them, or all but one or two whose meaning depends on what follows. end
// reports the line that ends DATA. After an error the state is that before the
// offending line, so that step can go on with skip set.
func (s *lines) step(p []byte, emit func([]byte) error) (n int, end bool, err error) {
	if s.cr && len(p) > 0 {
		if n, err = s.afterCR(p, emit); err != nil {
			return n, false, err
		}
	}
	from := n // what is dealt with but not emitted begins here
	flush := func(to int) error {
		if s.skip || to <= from {
			return nil
		}
		return emit(p[from:to])
	}
	for n < len(p) {
		if s.dots && !s.inLine && p[n] == '.' {
			switch s.dot(p[n:]) {
			case dotUnknown:
				return n, false, flush(n)
			case dotEnd:
				return n + 3, true, flush(n)
			case dotStuffed:
				if err := flush(n); err != nil {
					return n, false, err
				}
				n++
				from, s.inLine = n, true
			}
		}
		i := bytes.IndexByte(p[n:], '\n')
		if i < 0 {
			took, err := s.partial(p[n:])
			if ferr := flush(n + took); err == nil {
				err = ferr
			}
			return n + took, false, err
		}
		line := p[n : n+i]
		hasCR := i > 0 && line[i-1] == '\r'
		text := i
		if hasCR {
			text--
		}
		if err := s.judge(line[:text], hasCR); err != nil {
			_ = flush(n) // the content is refused anyhow
			return n, false, err
		}
		s.longest = max(s.longest, s.col+text)
		if !hasCR && !s.skip {
			if err := flush(n + i); err != nil {
				return n, false, err
			}
			if err := emit(crlf); err != nil {
				return n, false, err
			}
			from = n + i + 1
		}
		n += i + 1
		s.inLine, s.afterLF, s.col = false, !hasCR, 0
	}
	return n, false, flush(n)
}

// judge refuses the text of a line, or the rest of one, that is now complete.
func (s *lines) judge(text []byte, hasCR bool) error {
	switch {
	case s.skip:
	case bytes.IndexByte(text, '\r') >= 0:
		return refuseCR()
	case !hasCR && !s.mendLF:
		return refuseLF()
	case s.maxLine > 0 && s.col+len(text) > s.maxLine:
		return refuseLine(s.maxLine)
	}
	return nil
}

// partial deals with p, which has no line end. A CR at its very end is left.
func (s *lines) partial(p []byte) (n int, err error) {
	n = len(p)
	if p[n-1] == '\r' {
		n--
	}
	if !s.skip {
		if bytes.IndexByte(p[:n], '\r') >= 0 {
			return 0, refuseCR()
		}
		if s.maxLine > 0 && s.col+n > s.maxLine {
			return 0, refuseLine(s.maxLine)
		}
	}
	if n > 0 {
		s.inLine = true
		s.col += n
	}
	return n, nil
}

type dot uint8

const (
	dotUnknown dot = iota // too few octets to say
	dotEnd                // the end of the data
	dotStuffed            // one more than the line has
	dotAlone              // a line of one dot that ends nothing
)

// dot says what a dot at the beginning of a line is. Only CRLF "." CRLF ends
// the data (RFC 5321 section 4.1.1.4); the CRLF of the DATA command counts as
// the first one.
func (s *lines) dot(p []byte) dot {
	switch {
	case len(p) == 1:
		return dotUnknown
	case p[1] == '\n':
		return dotAlone
	case p[1] != '\r':
		return dotStuffed
	case len(p) == 2:
		return dotUnknown
	case p[2] != '\n':
		return dotStuffed // then a bare CR, which is refused
	case s.afterLF:
		return dotAlone
	}
	return dotEnd
}

// hold notes that the octets so far, the last ones of a chunk, end with a CR.
func (s *lines) hold() { s.cr = true }

// afterCR deals with the first octet after a CR that ended a chunk.
func (s *lines) afterCR(p []byte, emit func([]byte) error) (n int, err error) {
	s.cr = false
	if s.skip {
		return 0, nil
	}
	if p[0] != '\n' {
		return 0, refuseCR()
	}
	s.longest = max(s.longest, s.col)
	s.inLine, s.afterLF, s.col = false, false, 0
	return 1, emit(crlf)
}

// finish ends content that has no end-of-data line. A last line without CRLF
// gets one, so that what is stored can be sent by DATA unchanged.
func (s *lines) finish(emit func([]byte) error) error {
	switch {
	case s.skip:
		return nil
	case s.cr:
		return refuseCR()
	case s.inLine:
		s.inLine = false
		s.longest = max(s.longest, s.col)
		return emit(crlf)
	}
	return nil
}
