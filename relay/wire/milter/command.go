package milter

import (
	"encoding/binary"
	"net/netip"
)

// Event is a packet of the server, as macros are sent for it.
type Event byte

// The events (SMFIC_*).
const (
	Connect   Event = 'C'
	Helo      Event = 'H'
	Mail      Event = 'M'
	Rcpt      Event = 'R'
	Data      Event = 'T'
	Header    Event = 'L'
	HeaderEnd Event = 'N'
	Body      Event = 'B'
	BodyEnd   Event = 'E'
)

// Macro is a value that goes with an event. The name is written as filters ask for
// it: one letter bare, a longer one in braces.
type Macro struct{ Name, Value string }

// AppendMacros appends the values for an event that follows. A macro without a
// value is left out: filters take that for unknown.
func AppendMacros(b []byte, e Event, macros []Macro) []byte {
	b, at := begin(b, 'D')
	b = append(b, byte(e))
	for _, m := range macros {
		if m.Value != "" {
			b = appendText(b, m.Name)
			b = appendText(b, m.Value)
		}
	}
	return finish(b, at)
}

// AppendConnect appends who the client is. name is its host name, or "[address]"
// where it has none. A client without an address is of the family unknown.
func AppendConnect(b []byte, name string, client netip.AddrPort) []byte {
	b, at := begin(b, byte(Connect))
	b = appendText(b, name)
	switch a := client.Addr().Unmap().WithZone(""); {
	case a.Is4():
		b = append(b, '4')
		b = binary.BigEndian.AppendUint16(b, client.Port())
		b = appendText(b, a.String())
	case a.Is6():
		b = append(b, '6')
		b = binary.BigEndian.AppendUint16(b, client.Port())
		b = appendText(b, a.String())
	default:
		b = append(b, 'U')
	}
	return finish(b, at)
}

// AppendHelo appends the name that the client gave itself.
func AppendHelo(b []byte, name string) []byte {
	b, at := begin(b, byte(Helo))
	return finish(appendText(b, name), at)
}

// AppendPath appends a sender (Mail) or a recipient (Rcpt): the address with its
// angle brackets, and its ESMTP parameters.
func AppendPath(b []byte, e Event, address string, parameters ...string) []byte {
	b, at := begin(b, byte(e))
	b = appendText(b, "<"+address+">")
	for _, p := range parameters {
		b = appendText(b, p)
	}
	return finish(b, at)
}

// AppendEvent appends an event that has no data: Data, HeaderEnd, BodyEnd.
func AppendEvent(b []byte, e Event) []byte {
	b, at := begin(b, byte(e))
	return finish(b, at)
}

// AppendHeader appends a field. The lines of its value end in a bare LF.
func AppendHeader(b, name, value []byte) []byte {
	b, at := begin(b, byte(Header))
	return finish(appendText(appendText(b, name), value), at)
}

// AppendBody appends a piece of the body, at most MaxChunk octets.
func AppendBody(b, chunk []byte) []byte {
	b, at := begin(b, byte(Body))
	return finish(append(b, chunk...), at)
}

// AppendAbort appends the end of a message that is not to be judged any more;
// AppendNext the end of an SMTP session after which the connection is used for
// another (SMFIC_QUIT_NC); AppendQuit the end of the talk.
func AppendAbort(b []byte) []byte { return AppendEvent(b, 'A') }
func AppendNext(b []byte) []byte  { return AppendEvent(b, 'K') }
func AppendQuit(b []byte) []byte  { return AppendEvent(b, 'Q') }
