package dkim

import (
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"time"
)

// name is that of the field which carries a signature.
const name = "DKIM-Signature"

// lineGoal is where lines are folded, in octets, at most the 78 that RFC 5322
// section 2.1.1 recommends.
const lineGoal = 76

var crlf = []byte("\r\n")

// AppendField appends a header field in relaxed form (RFC 6376 section 3.4.2),
// CRLF included: the name in small letters, each run of white space and line
// ends in the value as one space, none around it.
func AppendField(b []byte, name string, value []byte) []byte {
	for _, c := range []byte(name) {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	b = append(b, ':')
	start, blank := len(b), false
	for _, c := range value {
		if c == ' ' || c == '\t' || c == '\r' || c == '\n' {
			blank = true
			continue
		}
		if blank && len(b) > start {
			b = append(b, ' ')
		}
		blank = false
		b = append(b, c)
	}
	return append(b, crlf...)
}

// Signature is what a DKIM-Signature field tells of how it was made (RFC 6376
// section 3.5); header and body are in relaxed form.
type Signature struct {
	Algorithm string // a=: rsa-sha256 (section 3.3), ed25519-sha256 (RFC 8463)
	Domain    string // d=
	Selector  string // s=
	Time      time.Time
	Names     []byte            // h=, folded as it is to stand
	Body      [sha256.Size]byte // bh=
}

// Value is the value of the field as it is signed: b= comes last and is empty.
func (s *Signature) Value() []byte {
	v := make([]byte, 0, len(s.Names)+len(s.Domain)+len(s.Selector)+160)
	v = append(v, "v=1; a="...)
	v = append(v, s.Algorithm...)
	v = append(v, "; c=relaxed/relaxed; t="...)
	v = strconv.AppendInt(v, s.Time.Unix(), 10)
	v = append(v, ";\r\n\td="...)
	v = append(v, s.Domain...)
	v = append(v, ";\r\n\ts="...)
	v = append(v, s.Selector...)
	v = append(v, ";\r\n\th="...)
	v = append(v, s.Names...)
	v = append(v, ";\r\n\tbh="...)
	v = base64.StdEncoding.AppendEncode(v, s.Body[:])
	return append(v, ";\r\n\tb="...)
}

// Digest is what the key signs (RFC 6376 section 3.7): the SHA-256 of the signed
// fields, each as AppendField gives it and in the order of h=, and of the field
// with this value, which goes without its line end.
func Digest(fields, value []byte) (d [sha256.Size]byte) { return DigestField(fields, name, value) }

// DigestField is Digest for a field of another name: those of ARC.
func DigestField(fields []byte, name string, value []byte) (d [sha256.Size]byte) {
	sum := sha256.New()
	sum.Write(fields)
	own := AppendField(make([]byte, 0, len(name)+1+len(value)+len(crlf)), name, value)
	sum.Write(own[:len(own)-len(crlf)])
	sum.Sum(d[:0])
	return d
}

// AppendSigned appends the whole field: what Value gave, and the signature,
// folded.
func AppendSigned(b, value, signature []byte) []byte {
	return AppendSignedField(b, name, value, signature)
}

// AppendSignedField is AppendSigned for a field of another name: those of ARC.
func AppendSignedField(b []byte, name string, value, signature []byte) []byte {
	b = append(b, name+": "...)
	b = append(b, value...)
	text := base64.StdEncoding.AppendEncode(nil, signature)
	room := lineGoal - len("\tb=")
	for len(text) > room {
		b = append(b, text[:room]...)
		b = append(b, "\r\n\t"...)
		text, room = text[room:], lineGoal-len("\t")
	}
	b = append(b, text...)
	return append(b, crlf...)
}
