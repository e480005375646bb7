package imap

import (
	"bytes"
	"encoding/base64"
	"io"

	"tenma/relay/wire/header"
	"tenma/relay/wire/mime"
)

// maxBinary is how large a message may be that APPEND brings with NUL in it, in
// octets: it is held in memory, since it has to be changed. No mail program is
// known to send such messages.
const maxBinary = 8 << 20

// encodeBinary makes a message that came as literal8, and may hold NUL, one that
// BODY can show: parts with NUL are put into base64 (RFC 3516 section 4.2 leaves
// this to the server; BINARY gives the part as it was).
func encodeBinary(msg []byte) ([]byte, error) {
	if bytes.IndexByte(msg, 0) < 0 {
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
		return nil, no("UNKNOWN-CTE", "There is NUL outside of the contents of a part")
	}
	return e.out, nil
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
	if len(p.Children) > 0 || bytes.IndexByte(body, 0) < 0 {
		return nil
	}
	read, known := mime.DecodeTransfer(bytes.NewReader(body), p.Encoding)
	if !known {
		return no("UNKNOWN-CTE", "A part with NUL has an encoding that is unknown here")
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

// noNUL passes a message through that may not hold NUL (RFC 9051 section 4.3).
type noNUL struct{ io.Reader }

func (r noNUL) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if bytes.IndexByte(b[:n], 0) >= 0 {
		return 0, bad("CLIENTBUG", "NUL is not allowed in a message: send it as literal8, or encoded")
	}
	return n, err
}
