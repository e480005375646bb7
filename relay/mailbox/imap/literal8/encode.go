package literal8

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"strings"

	"tenma/relay/wire/header"
	"tenma/relay/wire/mime"
)

// MaxSize is how large a message may be that comes as literal8, in octets: it is
// held in memory, since it may have to be changed. No mail program is known to
// send such messages.
const MaxSize = 8 << 20

// ErrNUL says that a message has NUL where nothing can be done about it: outside
// of the contents of parts, or in a part whose transfer encoding nobody knows
// (RFC 3516 section 4.3: UNKNOWN-CTE).
var ErrNUL = errors.New("literal8: NUL that cannot be encoded")

// ErrPlain says that there is NUL in what is no literal8 (RFC 9051 section 4.3).
var ErrPlain = errors.New("literal8: NUL in a literal")

// Encode gives a message that BODY can show: parts with NUL are in base64, and those
// of encoding "binary" whose lines do not all end with CRLF, since messages are
// kept with such line ends. Without either it is msg itself. Its error is ErrNUL.
func Encode(msg []byte) ([]byte, error) {
	if bytes.IndexByte(msg, 0) < 0 && !bareLF(msg) {
		return msg, nil
	}
	root, err := mime.Parse(bytes.NewReader(msg), int64(len(msg)), mime.Limits{})
	if err != nil {
		return nil, err
	}
	e := encoder{msg: msg}
	if err := e.part(root); err != nil {
		return nil, err
	}
	e.copy(int64(len(msg)))
	if bytes.IndexByte(e.out, 0) >= 0 {
		return nil, ErrNUL
	}
	return e.out, nil
}

// bareLF reports an LF without CR before it.
func bareLF(p []byte) bool {
	return bytes.Count(p, []byte{'\n'}) != bytes.Count(p, []byte("\r\n"))
}

// encoder copies a message up to at, with changes.
type encoder struct {
	msg, out []byte
	at       int64
}

func (e *encoder) copy(to int64) {
	if to > e.at {
		e.out = append(e.out, e.msg[e.at:to]...)
		e.at = to
	}
}

func (e *encoder) part(p *mime.Part) error {
	for _, c := range p.Children {
		if err := e.part(c); err != nil {
			return err
		}
	}
	body := e.msg[p.Body.Start:p.Body.End]
	binary := strings.EqualFold(p.Encoding, "binary") && bareLF(body)
	if len(p.Children) > 0 || bytes.IndexByte(body, 0) < 0 && !binary {
		return nil
	}
	read, known := mime.DecodeTransfer(bytes.NewReader(body), p.Encoding)
	if !known {
		return ErrNUL
	}
	plain, err := io.ReadAll(read)
	if err != nil {
		return err
	}
	e.header(p)
	e.at = p.Body.End
	// Lines of 76 (RFC 2045 section 6.8).
	for text := base64.StdEncoding.EncodeToString(plain); text != ""; {
		n := min(len(text), 76)
		e.out = append(append(e.out, text[:n]...), "\r\n"...)
		text = text[n:]
	}
	return nil
}

// header copies the header of a part, with another encoding in it.
func (e *encoder) header(p *mime.Part) {
	e.copy(p.Header.Start)
	e.out = append(e.out, "Content-Transfer-Encoding: base64\r\n"...)
	at := p.Header.Start
	for f := range header.Section(e.msg[p.Header.Start:p.Header.End]).Fields() {
		next := at + int64(len(f.Raw))
		if f.Is("Content-Transfer-Encoding") {
			e.copy(at)
			e.at = next
		}
		at = next
	}
	e.copy(p.Body.Start)
}

// Plain passes a message through that may not hold NUL: if it does, reading gives
// ErrPlain.
func Plain(r io.Reader) io.Reader { return plain{r} }

type plain struct{ io.Reader }

func (r plain) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if bytes.IndexByte(b[:n], 0) >= 0 {
		return 0, ErrPlain
	}
	return n, err
}
