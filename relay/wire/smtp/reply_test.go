package smtp

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func TestParseStatus(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want Status
		rest string
		ok   bool
	}{
		{"2.1.5 Ok", Status{2, 1, 5}, "Ok", true},
		{"5.7.1", Status{5, 7, 1}, "", true},
		{"4.999.123 x", Status{4, 999, 123}, "x", true},
		{"5.1.1\nsecond line", Status{5, 1, 1}, "\nsecond line", true},
		{"5.1.1  two blanks", Status{5, 1, 1}, " two blanks", true},
		{"3.1.1 x", Status{}, "3.1.1 x", false},
		{"5.1.1x", Status{}, "5.1.1x", false},
		{"5.1.1.1 x", Status{}, "5.1.1.1 x", false},
		{"5.1000.1 x", Status{}, "5.1000.1 x", false},
		{"5.1.1000 x", Status{}, "5.1.1000 x", false},
		{"5.1. x", Status{}, "5.1. x", false},
		{"5..1 x", Status{}, "5..1 x", false},
		{"55.1.1", Status{}, "55.1.1", false},
		{"5.1", Status{}, "5.1", false},
		{"", Status{}, "", false},
	} {
		got, rest, ok := ParseStatus(tc.in)
		if got != tc.want || rest != tc.rest || ok != tc.ok {
			t.Errorf("%q: %v, %q, %v", tc.in, got, rest, ok)
		}
	}
}

func FuzzParseStatus(f *testing.F) {
	for _, s := range []string{"2.1.5 Ok", "5.7.1", "4.999.123\nx", "5.1000.1", "2.0.00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		s, rest, ok := ParseStatus(in)
		if !ok {
			if rest != in || s != (Status{}) {
				t.Errorf("%q: refused, but %v, %q", in, s, rest)
			}
			return
		}
		if !strings.HasSuffix(in, rest) || s[1] > 999 || s[2] > 999 {
			t.Errorf("%q: %v, %q", in, s, rest)
		}
		if again, _, ok := ParseStatus(s.String()); !ok || again != s {
			t.Errorf("%q: %v is read as %v, %v", in, s, again, ok)
		}
	})
}

func TestReplyString(t *testing.T) {
	for want, r := range map[string]Reply{
		"":                            {},
		"250 2.0.0 Ok":                {Code: 250, Status: Status{2, 0, 0}, Text: "Ok"},
		"550 no such user here":       {Code: 550, Text: "no such\nuser here"},
		"421":                         {Code: 421},
		"5.0.0 a text without a code": {Status: Status{5, 0, 0}, Text: "a text without a code"},
	} {
		if got := r.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if r := (Reply{Code: 250}); !r.Positive() || r.Temporary() || r.Permanent() {
		t.Error("250")
	}
	if r := (Reply{Code: 452}); r.Positive() || !r.Temporary() || r.Permanent() {
		t.Error("452")
	}
	if r := (Reply{Code: 550}); r.Positive() || r.Temporary() || !r.Permanent() {
		t.Error("550")
	}
}

// The peer's text and ours stay apart.
func TestError(t *testing.T) {
	e := &Error{Reply: Reply{Code: 451, Status: Status{4, 3, 0}, Text: "later"}, Err: io.ErrUnexpectedEOF}
	if e.Error() != "451 4.3.0 later: unexpected EOF" || !errors.Is(e, io.ErrUnexpectedEOF) || strings.Contains(e.Reply.String(), "EOF") {
		t.Error(e)
	}
	if e := Errorf(550, Status{5, 1, 1}, "no %s", "one"); e.Error() != "550 5.1.1 no one" || e.Unwrap() != nil {
		t.Error(e)
	}
}
