package intake

import (
	"bytes"
	"strings"

	"tenma/relay/wire/header"
)

// maxText bounds, in octets, each text of the envelope that comes from the
// header (mail.Envelope).
const maxText = 256

// maxLine is the longest line, in octets without its end, that a host must take
// (RFC 5322 section 2.1.1).
const maxLine = 998

// section is what intake wants to know of a header section.
type section struct {
	hops                     int // Received fields
	from, subject, messageID string
	dated, named             bool // there is a Date, a Message-ID field
	unwanted                 bool // there is a field that goes before the message is stored
	tenant                   bool // there is a field that names a tenant
	headless                 bool // the message begins with something that is no header
	optionalTLS              bool // it says that TLS is not required (RFC 8689 section 3)
}

// read fills s from h. Each text is that of the first field of its name; unwanted
// tells which fields go.
func (s *section) read(h header.Section, unwanted func(header.Field) bool) {
	first := true
	var from, subject, messageID, tls header.Field
	several := false
	for f := range h.Fields() {
		if first && f.Name() == nil && !isMboxLine(f.Raw) {
			s.headless = true
			return
		}
		first = false
		s.unwanted = s.unwanted || unwanted(f)
		switch f.Raw[0] | 0x20 {
		case 'r':
			if f.Is("Received") {
				s.hops++
			}
		case 'f':
			once(&from, f, "From")
		case 's':
			once(&subject, f, "Subject")
		case 'm':
			once(&messageID, f, "Message-ID")
		case 'x':
			s.tenant = s.tenant || isTenantField(f)
		case 't':
			if f.Is("TLS-Required") {
				several = several || tls.Raw != nil
				tls = f
			}
		case 'd':
			s.dated = s.dated || f.Is("Date")
		}
	}
	// Several are against RFC 8689 section 3: nobody knows what is meant, so that
	// the domains' own wishes hold.
	s.optionalTLS = !several && tls.Raw != nil && strings.EqualFold(tls.Text(), "No")
	s.named = messageID.Raw != nil
	s.from = header.Decode(from.Text(), maxText)
	s.subject = header.Decode(subject.Text(), maxText)
	s.messageID = header.Decode(messageID.Text(), maxText)
}

// readSection reads a section that has been changed: what had no header stays so.
func readSection(h header.Section, headless bool) (s section) {
	if !headless {
		s.read(h, func(header.Field) bool { return false })
	}
	s.headless = headless
	return s
}

func once(to *header.Field, f header.Field, name string) {
	if to.Raw == nil && f.Is(name) {
		*to = f
	}
}

// isMboxLine reports the separator of a mailbox file, which old software
// leaves at the start of a message; header fields follow it.
func isMboxLine(line []byte) bool {
	return bytes.HasPrefix(line, []byte("From ")) || bytes.HasPrefix(line, []byte(">From "))
}
