package stored

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// The spool encoding: a version octet, then the fields in order; numbers as
// varints, text with its length before it, times as Unix seconds with 0 for
// the zero time. A reader accepts every version up to its own.
const (
	envelopeVersion = 3 // 2: a second octet of flags; 3: ReturnPath and Batch
	stateVersion    = 2 // 2: Owed
)

// ErrEncoding is wrapped by errors of the decoders.
var ErrEncoding = errors.New("stored: damaged encoding")

// AppendEnvelope appends the spool encoding of e to b.
func AppendEnvelope(b []byte, e *mail.Envelope) []byte {
	b = append(b, envelopeVersion)
	b = appendAddress(b, e.Sender)
	b = appendTime(b, e.Received)
	b = appendTime(b, e.Expire)
	b = binary.AppendUvarint(b, uint64(e.Size))
	b = appendText(b, e.Prefix)
	var flags byte
	for i, f := range [...]bool{e.SMTPUTF8, e.EightBit, e.RequireTLS, e.Trusted, e.TLS, e.Basic, e.LMTP, e.Submission} {
		if f {
			flags |= 1 << i
		}
	}
	client, _ := e.Client.MarshalBinary() // never fails
	var more byte
	for i, f := range [...]bool{e.LongLines, !e.ReturnPath.IsNull() || !e.Batch.IsZero(), e.OptionalTLS} {
		if f {
			more |= 1 << i
		}
	}
	b = append(b, flags, more, byte(e.Ret), byte(e.Priority), byte(e.Origin))
	b = appendText(b, client)
	for _, s := range [...]string{e.EnvID, e.Tenant, e.Campaign, e.Account, e.Listener, e.HELO, e.Session, e.From, e.Subject, e.MsgID} {
		b = appendText(b, s)
	}
	if more&2 != 0 {
		b = append(appendAddress(b, e.ReturnPath), e.Batch[:]...)
	}
	b = binary.AppendUvarint(b, uint64(len(e.Recipients)))
	for i := range e.Recipients {
		r := &e.Recipients[i]
		b = appendAddress(b, r.Address)
		b = append(b, byte(r.Notify))
		b = appendText(b, r.ORcpt)
	}
	return b
}

// DecodeEnvelope reads what AppendEnvelope wrote. Errors wrap ErrEncoding. The
// result shares no memory with b.
func DecodeEnvelope(b []byte) (*mail.Envelope, error) {
	d := newDecoder(b)
	version := d.octet()
	if version == 0 || version > envelopeVersion {
		return nil, fmt.Errorf("%w: envelope version %d", ErrEncoding, version)
	}
	e := &mail.Envelope{
		Sender:   d.address(),
		Received: d.time(),
		Expire:   d.time(),
		Size:     int64(d.number()),
		Prefix:   []byte(d.text()),
	}
	flags := d.octet()
	e.SMTPUTF8, e.EightBit, e.RequireTLS = flags&1 != 0, flags&2 != 0, flags&4 != 0
	e.Trusted, e.TLS, e.Basic, e.LMTP = flags&8 != 0, flags&16 != 0, flags&32 != 0, flags&64 != 0
	e.Submission = flags&128 != 0
	var more byte
	if version >= 2 {
		more = d.octet()
		e.LongLines, e.OptionalTLS = more&1 != 0, more&4 != 0
	}
	e.Ret, e.Priority, e.Origin = mail.Ret(d.octet()), mail.Priority(int8(d.octet())), mail.Origin(d.octet())
	if err := e.Client.UnmarshalBinary([]byte(d.text())); err != nil {
		d.fail = true
	}
	for _, p := range [...]*string{&e.EnvID, &e.Tenant, &e.Campaign, &e.Account, &e.Listener, &e.HELO, &e.Session, &e.From, &e.Subject, &e.MsgID} {
		*p = d.text()
	}
	if version >= 3 && more&2 != 0 {
		e.ReturnPath = d.address()
		copy(e.Batch[:], d.octets(len(e.Batch)))
	}
	n := d.count(4)
	e.Recipients = make([]mail.Recipient, n)
	for i := range e.Recipients {
		e.Recipients[i] = mail.Recipient{Address: d.address(), Notify: mail.Notify(d.octet()), ORcpt: d.text()}
	}
	if err := d.end("envelope"); err != nil {
		return nil, err
	}
	return e, nil
}

// AppendState appends the spool encoding of s to b.
func AppendState(b []byte, s *mail.State) []byte {
	b = append(b, stateVersion)
	var held byte
	if s.Held {
		held = 1
	}
	b = append(b, held)
	b = appendText(b, s.Signature)
	b = binary.AppendUvarint(b, uint64(len(s.Recipients)))
	for i := range s.Recipients {
		r := &s.Recipients[i]
		flags := byte(r.Fate)
		if r.DelayTold {
			flags |= 0x80
		}
		if r.Owed {
			flags |= 0x40 | byte(r.As)<<3
		}
		b = append(b, flags)
		b = binary.AppendUvarint(b, uint64(r.Attempts))
		b = appendTime(b, r.Due)
		b = binary.AppendUvarint(b, uint64(r.Reply.Code))
		for _, v := range r.Reply.Status {
			b = binary.AppendUvarint(b, uint64(v))
		}
		b = appendText(b, r.Reply.Text)
		b = appendText(b, r.Host)
	}
	return b
}

// DecodeState reads what AppendState wrote; nothing at all is the zero mail.State.
// Errors wrap ErrEncoding. The result shares no memory with b.
func DecodeState(b []byte) (*mail.State, error) {
	s := &mail.State{}
	if len(b) == 0 {
		return s, nil
	}
	d := newDecoder(b)
	if v := d.octet(); v == 0 || v > stateVersion {
		return nil, fmt.Errorf("%w: state version %d", ErrEncoding, v)
	}
	s.Held = d.octet() != 0
	if t := d.text(); t != "" {
		s.Signature = []byte(t)
	}
	if n := d.count(9); n > 0 {
		s.Recipients = make([]mail.RecipientState, n)
	}
	for i := range s.Recipients {
		flags := d.octet()
		r := mail.RecipientState{Fate: mail.Fate(flags & 7), DelayTold: flags&0x80 != 0, Owed: flags&0x40 != 0, Attempts: d.small(), Due: d.time()}
		r.As = mail.Action(flags >> 3 & 7)
		r.Reply.Code = int(d.small())
		for j := range r.Reply.Status {
			r.Reply.Status[j] = d.small()
		}
		r.Reply.Text, r.Host = d.text(), d.text()
		if r.Fate > mail.Deleted || r.As > mail.ActionExpanded || !r.Owed && r.As != 0 {
			d.fail = true
		}
		s.Recipients[i] = r
	}
	if err := d.end("state"); err != nil {
		return nil, err
	}
	return s, nil
}

func appendText[T string | []byte](b []byte, s T) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.AppendUvarint(b, 0)
	}
	return binary.AppendUvarint(b, uint64(max(t.Unix(), 1)))
}

func appendAddress(b []byte, a smtp.Address) []byte {
	return appendText(appendText(b, a.Local), string(a.Domain))
}

// decoder reads fields until the first that does not fit; from then on fail is
// set and every field is zero.
type decoder struct {
	b    []byte
	all  string // what b was at first: one copy, which all texts are parts of
	fail bool
}

func newDecoder(b []byte) decoder { return decoder{b: b, all: string(b)} }

func (d *decoder) octet() byte {
	if len(d.b) == 0 {
		d.fail = true
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

// octets gives the next n, fewer where they end.
func (d *decoder) octets(n int) []byte {
	if n > len(d.b) {
		d.fail, d.b = true, nil
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) number() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > 1<<62 {
		d.fail, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) small() uint16 {
	v := d.number()
	if v > 1<<16-1 {
		d.fail = true
	}
	return uint16(v)
}

// count reads the length of a list whose members take at least size octets.
func (d *decoder) count(size int) int {
	n := d.number()
	if n > mail.MaxRecipients || n*uint64(size) > uint64(len(d.b)) {
		d.fail, d.b = true, nil
		return 0
	}
	return int(n)
}

func (d *decoder) text() string {
	n := d.number()
	if n > uint64(len(d.b)) {
		d.fail, d.b = true, nil
		return ""
	}
	s := d.all[len(d.all)-len(d.b):][:n]
	d.b = d.b[n:]
	return s
}

func (d *decoder) time() time.Time {
	v := d.number()
	if v == 0 || v > 1<<40 {
		return time.Time{}
	}
	return time.Unix(int64(v), 0)
}

func (d *decoder) address() smtp.Address {
	// Domains become keys that outlive the message, and must not keep all of it.
	return smtp.Address{Local: d.text(), Domain: smtp.Domain(strings.Clone(d.text()))}
}

func (d *decoder) end(what string) error {
	if d.fail || len(d.b) != 0 {
		return fmt.Errorf("%w: %s", ErrEncoding, what)
	}
	return nil
}
