package milter

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Limits.
const (
	// MaxChunk is the longest piece of a body in one packet, in octets
	// (MILTER_CHUNK_SIZE of mfdef.h).
	MaxChunk = 65535
	// MaxPacket is the longest packet that Read takes, in octets: a piece of
	// a body with room for what stands around it. Filters send nothing longer.
	MaxPacket = 66 << 10
)

// ErrProtocol is wrapped by each error about what the other side has sent.
var ErrProtocol = errors.New("milter protocol broken")

func broken(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrProtocol, fmt.Sprintf(format, args...))
}

// Read takes one packet from r. The data is kept in buf where that is large enough,
// so it holds until the next call only. Errors wrap ErrProtocol for a length that
// cannot be; otherwise they are r's, io.EOF before the first octet and
// io.ErrUnexpectedEOF in the middle.
func Read(r io.Reader, buf []byte) (code byte, data []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:4]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[:4])
	if n == 0 || n > MaxPacket {
		return 0, nil, broken("a packet of %d octets", n)
	}
	if _, err := io.ReadFull(r, head[4:]); err != nil {
		return 0, nil, inside(err)
	}
	n--
	if uint32(cap(buf)) < n {
		buf = make([]byte, n)
	}
	data = buf[:n]
	if _, err := io.ReadFull(r, data); err != nil {
		return 0, nil, inside(err)
	}
	return head[4], data, nil
}

// inside is the error for a stream that ended where more was promised.
func inside(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// begin appends the head of a packet; finish writes its length when its data has
// been appended. at is what begin gave.
func begin(b []byte, code byte) (out []byte, at int) {
	return append(b, 0, 0, 0, 0, code), len(b)
}

func finish(b []byte, at int) []byte {
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}

// appendText appends a text with the zero octet that ends it. A zero octet in the
// text would end it too early, and hide from the filter what follows: it becomes
// a space.
func appendText[T string | []byte](b []byte, text T) []byte {
	from := len(b)
	b = append(b, text...)
	for i := from; i < len(b); i++ {
		if b[i] == 0 {
			b[i] = ' '
		}
	}
	return append(b, 0)
}

// cutText takes a text up to the zero octet that ends it from data.
func cutText(data []byte) (text string, rest []byte, ok bool) {
	for i, c := range data {
		if c == 0 {
			return string(data[:i]), data[i+1:], true
		}
	}
	return "", data, false
}
