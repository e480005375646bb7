package names

import (
	"encoding/binary"
	"errors"
)

// Sizes of the wire format (RFC 1035 section 4, RFC 6891).
const (
	headerSize = 12
	maxName    = 255
	minUDP     = 512  // that everyone takes
	ownUDP     = 1232 // that we say we take
)

// Types that there are answers for.
const (
	typeA    = 1
	typeSOA  = 6
	typePTR  = 12
	typeMX   = 15
	typeTXT  = 16
	typeAAAA = 28
	typeOPT  = 41
	typeANY  = 255
	classIN  = 1
)

// Codes of replies.
const (
	noError  = 0
	formErr  = 1
	servFail = 2
	nxDomain = 3
	notImp   = 4
	refused  = 5
)

var errQuery = errors.New("names: no query")

// query is what was asked.
type query struct {
	head  [headerSize]byte
	raw   []byte // the question as it came, echoed
	name  []byte // lower case, labels parted by dots, none at the end
	at    []int  // where each label begins in the message
	qtype uint16
	class uint16
	edns  bool
	limit int // octets that the asker takes over UDP
}

// opcode is 0 for an ordinary query.
func (q *query) opcode() int { return int(q.head[2]>>3) & 15 }

// parse reads a query into q, whose slices are used again.
func (q *query) parse(msg []byte) error {
	if len(msg) < headerSize || msg[2]&0x80 != 0 || binary.BigEndian.Uint16(msg[4:]) != 1 {
		return errQuery
	}
	copy(q.head[:], msg)
	q.name, q.at, q.edns, q.limit = q.name[:0], q.at[:0], false, minUDP
	i := headerSize
	for {
		if i >= len(msg) {
			return errQuery
		}
		n := int(msg[i])
		if n == 0 {
			i++
			break
		}
		// A question comes first: there is nothing that it could point to.
		if n > 63 || i+1+n > len(msg) || i+n-headerSize > maxName-2 {
			return errQuery
		}
		if len(q.name) > 0 {
			q.name = append(q.name, '.')
		}
		q.at = append(q.at, i)
		for _, c := range msg[i+1 : i+1+n] {
			if c >= 'A' && c <= 'Z' {
				c += 'a' - 'A'
			}
			q.name = append(q.name, c)
		}
		i += 1 + n
	}
	if i+4 > len(msg) {
		return errQuery
	}
	q.qtype, q.class = binary.BigEndian.Uint16(msg[i:]), binary.BigEndian.Uint16(msg[i+2:])
	q.raw = msg[headerSize : i+4]
	// OPT, where it is the first record behind the question (RFC 6891 section 6.1.2).
	if rest := msg[i+4:]; binary.BigEndian.Uint32(msg[6:]) == 0 && binary.BigEndian.Uint16(msg[10:]) > 0 &&
		len(rest) >= 11 && rest[0] == 0 && binary.BigEndian.Uint16(rest[1:]) == typeOPT {
		q.edns = true
		q.limit = max(minUDP, int(binary.BigEndian.Uint16(rest[3:])))
	}
	return nil
}

// reply builds an answer behind the bytes of b.
type reply struct {
	b       []byte
	start   int // of the message in b
	answers uint16
	more    uint16 // records of authority
	ttl     uint32
}

func newReply(b []byte, q *query, ttl uint32) reply {
	r := reply{b: b, start: len(b), ttl: ttl}
	r.b = append(r.b, q.head[:2]...)
	r.b = append(r.b, 0x80|q.head[2]&0x79, 0x80|q.head[3]&0x10) // QR, opcode and RD as asked; RA, CD as asked
	r.b = append(r.b, 0, 1, 0, 0, 0, 0, 0, 0)
	r.b = append(r.b, q.raw...)
	return r
}

// toQuestion points to the question's name (RFC 1035 section 4.1.4).
const toQuestion = 0xC000 | headerSize

// record begins a record of the question's name; its data follows, and done.
func (r *reply) record(owner uint16, rtype uint16) (length int) {
	r.b = binary.BigEndian.AppendUint16(r.b, owner)
	r.b = binary.BigEndian.AppendUint16(r.b, rtype)
	r.b = binary.BigEndian.AppendUint16(r.b, classIN)
	r.b = binary.BigEndian.AppendUint32(r.b, r.ttl)
	r.b = append(r.b, 0, 0)
	return len(r.b)
}

func (r *reply) done(from int) {
	binary.BigEndian.PutUint16(r.b[from-2:], uint16(len(r.b)-from))
}

// answer adds a record of the question's name.
func (r *reply) answer(rtype uint16, data ...[]byte) {
	at := r.record(toQuestion, rtype)
	for _, d := range data {
		r.b = append(r.b, d...)
	}
	r.done(at)
	r.answers++
}

// text adds a TXT record, in strings of at most 255 octets (RFC 1035 section
// 3.3.14).
func (r *reply) text(s string) {
	at := r.record(toQuestion, typeTXT)
	for first := true; first || s != ""; first = false {
		n := min(len(s), 255)
		r.b = append(append(r.b, byte(n)), s[:n]...)
		s = s[n:]
	}
	r.done(at)
	r.answers++
}

// soa adds the record by which a denial is remembered (RFC 2308 section 3); its
// owner is the last label of the question's name. The root has none.
func (r *reply) soa(q *query) {
	if len(q.at) == 0 {
		return
	}
	at := r.record(0xC000|uint16(q.at[len(q.at)-1]), typeSOA)
	r.b = append(r.b, 0, 0)                                  // MNAME and RNAME: the root
	for _, n := range []uint32{1, 3600, 600, 86400, r.ttl} { // serial, refresh, retry, expire, minimum
		r.b = binary.BigEndian.AppendUint32(r.b, n)
	}
	r.done(at)
	r.more++
}

// finish completes the message with a code, and cuts it if it is longer than
// limit (RFC 2181 section 9); 0 is no limit.
func (r *reply) finish(q *query, code byte, limit int) []byte {
	extra := uint16(0)
	opt := 0
	if q.edns {
		opt = 11
	}
	m := r.b[r.start:]
	if limit > 0 && len(m)+opt > limit {
		r.answers, r.more = 0, 0
		r.b = r.b[:r.start+headerSize+len(q.raw)]
		r.b[r.start+2] |= 2 // TC
	}
	if q.edns {
		r.b = append(r.b, 0, 0, typeOPT, ownUDP>>8, ownUDP&0xff, 0, 0, 0, 0, 0, 0)
		extra = 1
	}
	m = r.b[r.start:]
	m[3] |= code
	binary.BigEndian.PutUint16(m[6:], r.answers)
	binary.BigEndian.PutUint16(m[8:], r.more)
	binary.BigEndian.PutUint16(m[10:], extra)
	return r.b
}
