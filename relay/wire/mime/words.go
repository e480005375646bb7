package mime

import (
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/transform"
)

// charset finds a charset by any of its names; nil stands for UTF-8 and what is
// contained in it, and for names that nobody knows.
func charset(name string) encoding.Encoding {
	name = strings.TrimSpace(name)
	if name == "" || len(name) > maxWord || strings.EqualFold(name, "utf-8") || strings.EqualFold(name, "us-ascii") {
		return nil
	}
	if e, err := htmlindex.Get(name); err == nil {
		if s, err := htmlindex.Name(e); err != nil || s == "utf-8" || s == "replacement" {
			return nil
		}
		return e
	}
	if e, err := ianaindex.MIME.Encoding(name); err == nil && e != nil {
		return e
	}
	return nil
}

// DecodeText gives the text of a body in UTF-8, whatever its transfer encoding
// and charset are, while it is read. What is broken or unknown stands as it is.
func DecodeText(r io.Reader, encoding, charsetName string) io.Reader {
	r, _ = DecodeTransfer(r, encoding)
	if c := charset(charsetName); c != nil {
		return transform.NewReader(r, c.NewDecoder())
	}
	return r
}

// toUTF8 decodes a text of a header. Where the charset is unknown or untrue and
// the text is no UTF-8 either, it is taken for Windows-1252, which Western
// programs that know no charsets write.
func toUTF8(b string, name string) string {
	if c := charset(name); c != nil {
		if s, err := c.NewDecoder().String(b); err == nil {
			return printable(s)
		}
	}
	if utf8.ValidString(b) {
		return printable(b)
	}
	s, _ := charmap.Windows1252.NewDecoder().String(b)
	return printable(s)
}

// printable takes out control characters: a header has none, and what was
// encoded must not become a line end.
func printable(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] >= 0x7f {
			return strings.Map(func(r rune) rune {
				if unicode.IsControl(r) {
					return ' '
				}
				return r
			}, s)
		}
	}
	return s
}

// Bounds of an encoded word. RFC 2047 section 2 allows 75 octets in all; many
// programs do not fold long ones.
const maxEncodedWord = 4000

// DecodeHeader decodes the encoded words in the text of a field (RFC 2047) to
// UTF-8, wherever they stand: also in quoted strings and in the middle of
// words, where the RFC has none but mail does. Letters that were cut in two by
// the end of a word are put together. What is no encoded word stays.
func DecodeHeader(text string) string { return decodeWords(text, false) }

// DecodeAddresses is DecodeHeader for an address list: what was an encoded word
// and would mean something else to ParseAddresses now, such as a comma in a
// name, comes in quotation marks.
func DecodeAddresses(list string) string { return decodeWords(list, true) }

func decodeWords(text string, addresses bool) string {
	next := strings.Index(text, "=?")
	if next < 0 {
		return toUTF8(text, "")
	}
	var (
		b      strings.Builder
		raw    []byte // octets of the words before, in the charset of name
		name   string
		quoted bool // an odd number of quotation marks came before
	)
	flush := func() {
		if len(raw) == 0 {
			return
		}
		s := toUTF8(string(raw), name)
		if addresses && !quoted && strings.ContainsAny(s, `()<>@,;:\"[]`) {
			s = quote(s)
		}
		b.WriteString(s)
		raw = raw[:0]
	}
	plain := func(s string) {
		b.WriteString(toUTF8(s, ""))
		quoted = quoted != (strings.Count(s, `"`)%2 == 1)
	}
	for next >= 0 {
		before := text[:next]
		word, ok := encodedWord(text[next:])
		if !ok {
			flush()
			plain(before + "=?")
			text = text[next+2:]
			next = strings.Index(text, "=?")
			continue
		}
		// White space between two words is not of the text (section 6.2).
		if len(raw) == 0 || strings.Trim(before, " \t\r\n") != "" {
			flush()
			plain(before)
		} else if !strings.EqualFold(name, word.charset) {
			flush()
		}
		name = word.charset
		raw = word.decode(raw)
		text = text[next+word.length:]
		next = strings.Index(text, "=?")
	}
	flush()
	plain(text)
	return b.String()
}

// quote makes a quoted string.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

type word struct {
	charset string
	base64  bool
	text    string
	length  int // of the whole
}

// encodedWord reads the word at the start of s: =?charset*language?encoding?text?=
func encodedWord(s string) (w word, ok bool) {
	s = s[:min(len(s), maxEncodedWord)]
	name := strings.IndexByte(s[2:], '?')
	if name <= 0 || name > maxWord || len(s) < name+5 || s[name+4] != '?' {
		return word{}, false
	}
	w.charset, _, _ = strings.Cut(s[2:2+name], "*") // RFC 2231 section 5
	if strings.IndexByte(w.charset, ' ') >= 0 {
		return word{}, false
	}
	switch s[name+3] | 0x20 {
	case 'b':
		w.base64 = true
	case 'q':
	default:
		return word{}, false
	}
	end := strings.Index(s[name+5:], "?=")
	if end < 0 {
		return word{}, false
	}
	w.text, w.length = s[name+5:name+5+end], name+5+end+2
	return w, true
}

func (w word) decode(b []byte) []byte {
	if w.base64 {
		var d base64
		return d.flush(d.step(b, []byte(w.text)))
	}
	for i := 0; i < len(w.text); i++ { // section 4.2
		switch c := w.text[i]; {
		case c == '_':
			b = append(b, ' ')
		case c == '=' && i+2 < len(w.text) && unhex(w.text[i+1]) < 16 && unhex(w.text[i+2]) < 16:
			b = append(b, unhex(w.text[i+1])<<4|unhex(w.text[i+2]))
			i += 2
		default:
			b = append(b, c)
		}
	}
	return b
}

// decodeExtended decodes the value of a parameter with a charset (RFC 2231
// section 4): charset'language'text, with percent signs.
func decodeExtended(v string) string {
	name, rest, ok := strings.Cut(v, "'")
	if _, text, quoted := strings.Cut(rest, "'"); ok && quoted {
		v = text
	} else {
		name = ""
	}
	b := make([]byte, 0, len(v))
	for i := 0; i < len(v); i++ {
		if v[i] == '%' && i+2 < len(v) && unhex(v[i+1]) < 16 && unhex(v[i+2]) < 16 {
			b = append(b, unhex(v[i+1])<<4|unhex(v[i+2]))
			i += 2
			continue
		}
		b = append(b, v[i])
	}
	return toUTF8(string(b), name)
}
