package fetch

import (
	"bytes"
	"io"

	wire "tenma/relay/wire/imap"
	"tenma/relay/wire/mime"
)

// writeBinary writes BINARY or BINARY.SIZE (RFC 3516 section 4.3): a part with
// its transfer encoding undone. The message itself, a multipart and a message
// within have an encoding that changes nothing (RFC 2045 section 6.4) and go
// as they are.
func (m *Message) writeBinary(w *wire.Writer, it *wire.Item) error {
	sizeOnly := it.Kind == wire.BinarySize
	encoding := ""
	r := mime.Range{Start: 0, End: m.src.Size()}
	if len(it.Section.Part) > 0 {
		part := m.tree.Find(it.Section.Part)
		if part == nil {
			writeNothing(w, sizeOnly)
			return nil
		}
		r = part.Body
		if len(part.Children) == 0 {
			encoding = part.Encoding
		}
	}
	read, known := mime.DecodeTransfer(io.NewSectionReader(m.src, r.Start, r.Len()), encoding)
	if !known {
		writeNothing(w, sizeOnly)
		return ErrEncoding
	}
	// Its size is known only when all is decoded, so it is decoded twice.
	var count counter
	if _, err := io.Copy(&count, read); err != nil {
		return err
	}
	if sizeOnly {
		w.Number(count.n)
		return nil
	}
	piece := cut(mime.Range{Start: 0, End: count.n}, &it.Section)
	if count.nul {
		w.Raw("~") // literal8: only it may hold NUL (RFC 9051 section 4.3.1)
	}
	w.Literal(piece.Len())
	read, _ = mime.DecodeTransfer(io.NewSectionReader(m.src, r.Start, r.Len()), encoding)
	_, err := io.Copy(&window{w: w, r: piece}, read)
	return err
}

func writeNothing(w *wire.Writer, sizeOnly bool) {
	if sizeOnly {
		w.Raw("0")
		return
	}
	w.Raw("NIL")
}

type counter struct {
	n   int64
	nul bool
}

func (c *counter) Write(b []byte) (int, error) {
	c.n += int64(len(b))
	c.nul = c.nul || bytes.IndexByte(b, 0) >= 0
	return len(b), nil
}
