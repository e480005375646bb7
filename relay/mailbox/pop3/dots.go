package pop3

import (
	"bytes"
	"errors"
)

// dots writes a message as the lines of a multi-line response (RFC 1939 section
// 3): a line that begins with a dot gets another one, and every line ends with
// CRLF. Stored messages have such line ends already; of one that has not, a bare LF
// becomes CRLF, since a client looks for the end of it line by line.
//
// It is a plain function of its fields and the octets that it is given, however
// they are cut.
type dots struct {
	emit func([]byte) error
	top  int // lines of the body that are wanted, if limited is set
	// limited stops after the header and so many lines (TOP).
	limited bool

	inLine bool // not at the beginning of a line
	cr     bool // the last octet was CR
	long   bool // the line has more than a CR
	body   bool // the header is over
}

// errEnough is what Write gives when TOP has what it wants.
var errEnough = errors.New("no more is wanted")

// Write takes a piece of the message.
func (d *dots) Write(p []byte) (int, error) {
	from := 0 // what is dealt with but not emitted begins here
	upTo := func(to int) (err error) {
		if to > from {
			err = d.emit(p[from:to])
			from = to
		}
		return err
	}
	for i := 0; i < len(p); {
		if !d.inLine && p[i] == '.' {
			if err := errors.Join(upTo(i), d.emit(p[i:i+1])); err != nil {
				return i, err
			}
		}
		n := bytes.IndexByte(p[i:], '\n')
		if n < 0 {
			d.partial(p[i:])
			break
		}
		d.partial(p[i : i+n])
		i += n
		if !d.cr {
			if err := errors.Join(upTo(i), d.emit([]byte{'\r'})); err != nil {
				return i, err
			}
		}
		i++
		if d.lineEnd() {
			if err := upTo(i); err != nil {
				return i, err
			}
			return i, errEnough
		}
	}
	return len(p), upTo(len(p))
}

// partial is told of octets of a line, its LF not among them.
func (d *dots) partial(p []byte) {
	if len(p) == 0 {
		return
	}
	if d.cr || len(p) > 1 || p[0] != '\r' {
		d.long = true
	}
	d.inLine, d.cr = true, p[len(p)-1] == '\r'
}

// lineEnd begins the next line. It reports that no more is wanted.
func (d *dots) lineEnd() (enough bool) {
	empty := !d.long
	d.inLine, d.cr, d.long = false, false, false
	switch {
	case !d.limited:
		return false
	case d.body:
		d.top--
	case empty:
		d.body = true
	}
	return d.body && d.top <= 0
}

// end completes a last line without an end, and says that the message is over.
func (d *dots) end() error {
	last := ".\r\n"
	switch {
	case d.inLine && d.cr:
		last = "\n" + last
	case d.inLine:
		last = "\r\n" + last
	}
	return d.emit([]byte(last))
}
