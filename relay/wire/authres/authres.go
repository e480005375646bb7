// Package authres reads and writes Authentication-Results (RFC 8601): what a host
// found out about the origin of a message when it took it in, for those behind it
// who trust that host.
//
// The value is an authserv-id, the host's name, and one Result for each method
// that was tried. Append writes a value, Parse reads one, and Claims tells whose
// it might be taken for: fields that bear our own name and came from outside are
// forgeries (section 5). The value of ARC-Authentication-Results is the same behind its instance number
// (RFC 8617 section 4.1.1).
//
// Values are quoted by what others wrote in their envelope, so reader and writer
// mind quotation marks, backslashes and comments wherever they may stand.
package authres

import (
	"errors"
	"strings"
)

// Limits of what is read.
const (
	maxResults    = 100
	maxProperties = 20 // of one result
)

// Result is what one method came to.
type Result struct {
	Method string // spf, dkim, dmarc, arc, ...
	Value  string // pass, fail, none, ...
	Reason string // for people; "" for none
	// Properties are what the method looked at, in order.
	Properties []Property
}

// Property is one of them, such as smtp.mailfrom; Name has both parts.
type Property struct{ Name, Value string }

// Get gives the value of a property, "" if there is none.
func (r *Result) Get(name string) string {
	for _, p := range r.Properties {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

// Append appends the value of a field, one result a line and without a line end. A
// property without a value is left out.
func Append(b []byte, host string, results []Result) []byte {
	b = append(b, host...)
	if len(results) == 0 {
		return append(b, "; none"...)
	}
	for _, r := range results {
		b = append(b, ";\r\n\t"...)
		b = append(append(append(b, r.Method...), '='), r.Value...)
		if r.Reason != "" {
			b = appendValue(append(b, " reason="...), r.Reason, isToken)
		}
		for _, p := range r.Properties {
			if p.Value != "" {
				b = append(append(append(b, ' '), p.Name...), '=')
				b = appendValue(b, p.Value, isAddress)
			}
		}
	}
	return b
}

// appendValue appends a value, in quotation marks if it is not plain. Controls
// cannot be written and become question marks, as does what is not ASCII: the message
// may be one that has to be.
func appendValue(b []byte, v string, plain func(byte) bool) []byte {
	quoted := v == ""
	for i := range len(v) {
		quoted = quoted || !plain(v[i])
	}
	if !quoted {
		return append(b, v...)
	}
	b = append(b, '"')
	for i := range len(v) {
		switch c := v[i]; {
		case c < ' ' || c >= 0x7f:
			b = append(b, '?')
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// isToken reports an octet of a token (RFC 2045 section 5.1).
func isToken(c byte) bool {
	return c > ' ' && c < 0x7f && !strings.ContainsRune(`()<>@,;:\"/[]?=`, rune(c))
}

// isAddress reports an octet that a property may have without quotation marks: of
// local-part, "@" and domain-name (RFC 8601 section 2.2, pvalue), and of header.b.
func isAddress(c byte) bool { return isToken(c) || c == '@' || c == '/' }

// Errors of Parse.
var (
	errHost   = errors.New("authres: no authserv-id")
	errResult = errors.New("authres: malformed result")
	errMany   = errors.New("authres: too many results")
)

// hostOf gives the authserv-id of a value, "" if it cannot be told.
func hostOf(value string) string {
	s := scanner(value)
	id := s.word()
	// What follows is the version, or the end.
	if s.skip(); len(s) > 0 && s[0] != ';' && (s[0] < '0' || s[0] > '9') {
		return ""
	}
	return id
}

// Claims reports a value that anybody might take for one of host's, also if it is
// malformed.
func Claims(value, host string) bool {
	s := scanner(value)
	return strings.EqualFold(s.word(), host)
}

// Parse reads a value, comments left out. Method, Value and the names of properties
// come in small letters. With an error, results has what was read before it.
func Parse(value string) (host string, results []Result, err error) {
	if host = hostOf(value); host == "" {
		return "", nil, errHost
	}
	s := scanner(value)
	s.word()
	s.until(";") // a version
	for {
		if s.skip(); len(s) == 0 {
			return host, results, nil
		}
		if s = s[1:]; len(results) == maxResults { // ";"
			return host, results, errMany
		}
		r, ok := s.result()
		switch {
		case !ok:
			return host, results, errResult
		case r.Method != "":
			results = append(results, r)
		}
	}
}

// scanner is what is left to read.
type scanner string

// skip passes over white space and comments (CFWS of RFC 5322 section 3.2.2).
func (s *scanner) skip() {
	depth, i := 0, 0
	for t := *s; i < len(t); i++ {
		switch c := t[i]; {
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case c == '\\' && depth > 0:
			i++
		case depth > 0 || c == ' ' || c == '\t' || c == '\r' || c == '\n':
		default:
			*s = t[i:]
			return
		}
	}
	*s = ""
}

// word reads a value: a quoted string or what stands up to a separator.
func (s *scanner) word() string {
	s.skip()
	t := string(*s)
	if t == "" || t[0] != '"' {
		n := strings.IndexAny(t, " \t\r\n;=()\"")
		if n < 0 {
			n = len(t)
		}
		*s = scanner(t[n:])
		return t[:n]
	}
	var b strings.Builder
	i := 1
	for ; i < len(t) && t[i] != '"'; i++ {
		if t[i] == '\\' && i+1 < len(t) {
			i++
		}
		b.WriteByte(t[i])
	}
	*s = scanner(t[min(i+1, len(t)):])
	return b.String()
}

// until passes over everything before one of stop.
func (s *scanner) until(stop string) {
	for s.skip(); len(*s) > 0 && !strings.ContainsRune(stop, rune((*s)[0])); s.skip() {
		if before := *s; s.word() == "" && *s == before {
			*s = (*s)[1:]
		}
	}
}

// result reads what stands between two semicolons; its Method is "" for "none".
func (s *scanner) result() (r Result, ok bool) {
	name := s.word()
	s.skip()
	if name == "" || strings.EqualFold(name, "none") && !strings.HasPrefix(string(*s), "=") {
		s.until(";")
		return r, true
	}
	name, _, _ = strings.Cut(name, "/") // a version of the method
	s.until("=;")
	if !s.take('=') {
		return r, false
	}
	r.Method, r.Value = strings.ToLower(name), strings.ToLower(s.word())
	for {
		if s.skip(); len(*s) == 0 || (*s)[0] == ';' {
			return r, true
		}
		name := strings.ToLower(s.word())
		// White space may stand around the dot and the equals sign.
		if s.skip(); name == "" || !s.take('=') {
			return r, false
		}
		value := s.value()
		switch {
		case name == "reason":
			r.Reason = value
		case len(r.Properties) < maxProperties:
			r.Properties = append(r.Properties, Property{name, value})
		}
	}
}

// value reads the value of a property: a word, or [local-part] "@" domain, of which
// the local part may be quoted.
func (s *scanner) value() string {
	v := s.word()
	for len(*s) > 0 && ((*s)[0] == '=' || (*s)[0] == '@') { // base64, or behind a quoted local part
		c := (*s)[0]
		*s = (*s)[1:]
		v += string(c)
		if len(*s) > 0 && !strings.ContainsRune(" \t\r\n;(", rune((*s)[0])) {
			v += s.word()
		}
	}
	return v
}

func (s *scanner) take(c byte) bool {
	if len(*s) == 0 || (*s)[0] != c {
		return false
	}
	*s = (*s)[1:]
	return true
}
