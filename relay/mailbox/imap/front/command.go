package front

import (
	"bytes"
	"math"
	"strings"
)

// Command is one whole command of a client.
type Command struct {
	Tag  string
	Name string // in upper case; "UID FETCH" and the like are one name
	// Args is what follows the name and a space, "" if nothing does. It holds no
	// literals: each stands as a quoted string (backslash before '"' and '\'). In
	// commands of Config.Own such a string may hold CR and LF; NUL is nowhere.
	// Outside quoted strings parentheses nest no deeper than 100. Those of APPEND
	// end before its message, with the space, "~" or "(~" that precedes it.
	Args string
}

// Bounds of a command's form.
const (
	// maxTag is far above what any client makes up.
	maxTag = 64
	// maxNesting of parentheses; the library and searches recurse by them.
	maxNesting = 100
	// maxRecursion is how many NOT and OR a command may hold: SEARCH recurses by
	// these as well, and programs that look for many addresses chain OR.
	maxRecursion = 1000
	// maxLiterals is how many literals a command may have.
	maxLiterals = 100
)

// scanner judges a command's line, piece by piece between its literals. It sees
// quoted strings where the library's decoder sees them.
type scanner struct {
	quoted  bool
	escaped bool
	depth   int
	prefix  int // words that SEARCH recurses by
}

// line takes the next piece and gives what is wrong with it, "" if nothing is. A
// piece ends outside quoted strings, or the command is no good.
func (s *scanner) line(p []byte) string {
	for i, b := range p {
		switch {
		case b == 0:
			return "NUL is no character of a command"
		case b == '\r':
			return "bare CR"
		case s.escaped:
			s.escaped = false
		case s.quoted:
			s.escaped, s.quoted = b == '\\', b != '"'
		case b == '"':
			s.quoted = true
		case b == '(':
			if s.depth++; s.depth > maxNesting {
				return "parentheses nest too deep"
			}
		case b == ')':
			s.depth--
		case b == ' ' && recursive(p[i+1:]):
			if s.prefix++; s.prefix > maxRecursion {
				return "too many search keys"
			}
		}
	}
	if s.quoted {
		return "quoted string without an end"
	}
	return ""
}

// recursive reports that p begins with NOT or OR and a space.
func recursive(p []byte) bool {
	return len(p) > 3 && (p[2] == ' ' && bytes.EqualFold(p[:2], []byte("OR")) || p[3] == ' ' && bytes.EqualFold(p[:3], []byte("NOT")))
}

// literal is the announcement of one at the end of a line.
type literal struct {
	size    int64 // math.MaxInt64: more than that
	nonSync bool  // the client does not wait (RFC 7888)
}

// cutLiteral takes "{n}" or "{n+}" off the end of a line.
func cutLiteral(line []byte) (head []byte, l literal, ok bool) {
	body, ok := bytes.CutSuffix(line, []byte{'}'})
	if !ok {
		return line, l, false
	}
	body, l.nonSync = bytes.CutSuffix(body, []byte{'+'})
	open := bytes.LastIndexByte(body, '{')
	if open < 0 || open == len(body)-1 {
		return line, literal{}, false
	}
	for _, d := range body[open+1:] {
		if d < '0' || d > '9' {
			return line, literal{}, false
		}
		if l.size > (math.MaxInt64-9)/10 {
			l.size = math.MaxInt64
			break
		}
		l.size = l.size*10 + int64(d-'0')
	}
	return body[:open], l, true
}

// appendQuoted puts p into a quoted string that is being written to dst.
func appendQuoted(dst, p []byte) []byte {
	for _, b := range p {
		if b == '"' || b == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, b)
	}
	return dst
}

// parseCommand splits the first line of a command. The tag is "" if it is none;
// then the client can only be told so untagged.
func parseCommand(line []byte) (tag, name string, args []byte) {
	word, rest, _ := bytes.Cut(line, []byte{' '})
	if !isTag(word) {
		return "", "", nil
	}
	tag = string(word)
	word, rest, _ = bytes.Cut(rest, []byte{' '})
	if bytes.EqualFold(word, []byte("UID")) {
		var sub []byte
		sub, rest, _ = bytes.Cut(rest, []byte{' '})
		word = append([]byte("UID "), sub...)
	}
	return tag, strings.ToUpper(string(word)), rest
}

// isTag reports what RFC 9051 section 9 lets a tag be: characters of an astring
// but "+", which would make an answer look like a continuation. The library takes
// no "]", which nobody uses.
func isTag(p []byte) bool {
	if len(p) == 0 || len(p) > maxTag {
		return false
	}
	for _, b := range p {
		if b <= ' ' || b >= 0x7f || strings.IndexByte(`(){%*"\+]`, b) >= 0 {
			return false
		}
	}
	return true
}

// libraryCommand reports a command that the library knows and may see.
// UNAUTHENTICATE is not among them: nobody goes back to a state in which less is
// allowed. STARTTLS is the front's own.
func libraryCommand(name string) bool {
	switch name {
	case "NOOP", "CHECK", "LOGOUT", "CAPABILITY", "AUTHENTICATE", "LOGIN",
		"ENABLE", "CREATE", "DELETE", "RENAME", "SUBSCRIBE", "UNSUBSCRIBE", "STATUS", "LIST", "LSUB", "NAMESPACE",
		"IDLE", "SELECT", "EXAMINE", "CLOSE", "UNSELECT", "APPEND", "EXPUNGE", "UID EXPUNGE",
		"FETCH", "UID FETCH", "STORE", "UID STORE", "COPY", "UID COPY", "MOVE", "UID MOVE", "SEARCH", "UID SEARCH":
		return true
	}
	return false
}

// beforeLogin reports one of the library's commands of the not authenticated state (RFC 9051
// section 6.2) and of any state.
func beforeLogin(name string) bool {
	switch name {
	case "NOOP", "LOGOUT", "CAPABILITY", "AUTHENTICATE", "LOGIN":
		return true
	}
	return false
}
