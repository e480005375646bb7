package smtp

import (
	"fmt"
	"strconv"
	"strings"
)

// Status is an enhanced status code, "class.subject.detail" (RFC 3463). The
// zero value means that there is none.
type Status [3]uint16

// String gives the dotted form, or "" for the zero value.
func (s Status) String() string {
	if s == (Status{}) {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d", s[0], s[1], s[2])
}

// ParseStatus reads an enhanced status code from the start of text and returns
// what follows it. The class must be 2, 4 or 5, subject and detail have one to
// three digits (RFC 3463 section 2); otherwise ok is false and rest is text.
func ParseStatus(text string) (s Status, rest string, ok bool) {
	if len(text) < 5 || text[1] != '.' || (text[0] != '2' && text[0] != '4' && text[0] != '5') {
		return Status{}, text, false
	}
	s[0] = uint16(text[0] - '0')
	rest = text[2:]
	for i := 1; i <= 2; i++ {
		n := 0
		for n < len(rest) && n < 4 && rest[n] >= '0' && rest[n] <= '9' {
			n++
		}
		if n == 0 || n > 3 {
			return Status{}, text, false
		}
		v, err := strconv.Atoi(rest[:n])
		if err != nil {
			return Status{}, text, false
		}
		s[i], rest = uint16(v), rest[n:]
		if i == 1 {
			if !strings.HasPrefix(rest, ".") {
				return Status{}, text, false
			}
			rest = rest[1:]
		}
	}
	if rest != "" && rest[0] != ' ' && rest[0] != '\n' {
		return Status{}, text, false
	}
	return s, strings.TrimPrefix(rest, " "), true
}

// Reply is one SMTP reply (RFC 5321 section 4.2). The zero value is no reply.
type Reply struct {
	Code   int    // three digits, 200 to 599
	Status Status // enhanced status, if stated
	Text   string // without code and status; lines joined by "\n"
}

// Positive reports a completion reply, 2yz.
func (r Reply) Positive() bool { return r.Code/100 == 2 }

// Temporary reports a transient failure, 4yz.
func (r Reply) Temporary() bool { return r.Code/100 == 4 }

// Permanent reports a permanent failure, 5yz.
func (r Reply) Permanent() bool { return r.Code/100 == 5 }

// String gives the reply on one line: "550 5.1.1 no such user".
func (r Reply) String() string {
	parts := make([]string, 0, 3)
	if r.Code != 0 {
		parts = append(parts, strconv.Itoa(r.Code))
	}
	if s := r.Status.String(); s != "" {
		parts = append(parts, s)
	}
	if r.Text != "" {
		parts = append(parts, strings.ReplaceAll(r.Text, "\n", " "))
	}
	return strings.Join(parts, " ")
}

// Error is a reply as a Go error: Reply is for the peer and discloses nothing,
// Err is for our own log and may be nil.
type Error struct {
	Reply Reply
	Err   error
}

// Error gives our own text if there is one, else the reply.
func (e *Error) Error() string {
	if e.Err != nil {
		return e.Reply.String() + ": " + e.Err.Error()
	}
	return e.Reply.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf builds an Error whose text is for the peer only.
func Errorf(code int, status Status, format string, args ...any) *Error {
	return &Error{Reply: Reply{Code: code, Status: status, Text: fmt.Sprintf(format, args...)}}
}
