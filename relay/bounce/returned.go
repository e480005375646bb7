package bounce

import (
	"bytes"
	"mime/quotedprintable"
	"unicode/utf8"
)

// returned is what a DSN gives back of the original.
type returned struct {
	text []byte
	full bool // the whole message, else its header
	utf8 bool // it came under SMTPUTF8
}

// headerOf gives the header section of a message without the empty line that
// ends it. A longer one than limit is cut at a line's end.
func headerOf(text []byte, limit int) []byte {
	if bytes.HasPrefix(text, []byte("\r\n")) {
		return nil
	}
	if end := bytes.Index(text, []byte("\r\n\r\n")); end >= 0 {
		text = text[:end+2]
	}
	if len(text) > limit {
		text = text[:limit]
	}
	return text[:bytes.LastIndexByte(text, '\n')+1]
}

// part gives the media type, transfer encoding and content of the third part
// of a report (RFC 6522 section 3). global says that the DSN goes by SMTPUTF8
// and may hold UTF-8 as it is.
func (r *returned) part(global bool) (mediaType, encoding string, content []byte) {
	text, ascii := r.text, isASCII(r.text)
	international := r.utf8 && !ascii && utf8.Valid(text)
	switch {
	case r.full && international:
		mediaType = "message/global" // RFC 6532 section 3.7: in any encoding
	case r.full:
		mediaType = "message/rfc822"
	case international:
		mediaType = "message/global-headers" // RFC 6533 section 6.3
	case !ascii && utf8.Valid(text):
		mediaType = "text/rfc822-headers; charset=utf-8"
	default: // in ASCII or nobody knows in what: no charset is better than a wrong one
		mediaType = "text/rfc822-headers" // RFC 6522 section 4
	}
	switch {
	case ascii && (r.full || shortLines(text)):
		return mediaType, "7bit", text
	case r.full && !international, global && international:
		return mediaType, "8bit", text // RFC 2046 section 5.2.1: message/rfc822 allows no other
	}
	return mediaType, "quoted-printable", quoted(text)
}

// quoted encodes text as quoted-printable (RFC 2045 section 6.7).
func quoted(text []byte) []byte {
	var b bytes.Buffer
	w := quotedprintable.NewWriter(&b)
	_, _ = w.Write(text) // a bytes.Buffer takes everything
	_ = w.Close()
	return b.Bytes()
}

// isASCII reports text fit for transfer encoding 7bit but for its line length.
func isASCII(text []byte) bool {
	for _, c := range text {
		if c >= 0x80 || c == 0 {
			return false
		}
	}
	return true
}

// shortLines reports that no line is longer than 998 octets (RFC 5322 section
// 2.1.1).
func shortLines(text []byte) bool {
	for line := range bytes.Lines(text) {
		if len(line) > 1000 {
			return false
		}
	}
	return true
}
