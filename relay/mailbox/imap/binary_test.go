package imap

import (
	"bytes"
	"strings"
	"testing"
)

func TestEncodeBinary(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"nothing to do", "A: b\r\n\r\nx", "A: b\r\n\r\nx"},
		{
			"one part", "A: b\r\nContent-Transfer-Encoding:\r\n binary\r\nC: d\r\n\r\n\x00\x01\x02",
			"Content-Transfer-Encoding: base64\r\nA: b\r\nC: d\r\n\r\nAAEC\r\n",
		},
		{
			"one of two", "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\ntext\r\n--x\r\n\r\n\x00\r\n--x--\r\n",
			"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\ntext\r\n--x\r\nContent-Transfer-Encoding: base64\r\n\r\nAA==\r\n\r\n--x--\r\n",
		},
	} {
		if got, err := encodeBinary([]byte(c.in)); err != nil || string(got) != c.want {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
	for _, bad := range []string{
		"A: \x00\r\n\r\n", "Content-Transfer-Encoding: x-y\r\n\r\n\x00",
		"Content-Type: multipart/mixed; boundary=x\r\n\r\n\x00\r\n--x\r\n\r\ntext\r\n--x--\r\n",
	} {
		if got, err := encodeBinary([]byte(bad)); err == nil {
			t.Errorf("%q becomes %q", bad, got)
		}
	}
}

func FuzzEncodeBinary(f *testing.F) {
	f.Add([]byte("A: b\r\nContent-Transfer-Encoding: binary\r\n\r\n\x00"))
	f.Add([]byte("Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: message/rfc822\r\n\r\n\r\n\x00\r\n--x--\r\n"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		got, err := encodeBinary(msg)
		if err == nil && bytes.IndexByte(got, 0) >= 0 {
			t.Errorf("%q keeps NUL: %q", msg, got)
		}
	})
}

// A pattern that is made to be slow is not: this is 100,000 steps, not 2 to the
// power of 20.
func TestMatchIsBounded(t *testing.T) {
	name := strings.Repeat("a", 200)
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{strings.Repeat("*a", 20) + "b", name, false},
		{strings.Repeat("%*", 300), name, true},
		{"%", "a/b", false},
		{"*", "a/b", true},
		{"a/%", "a/b", true},
		{"%/%", "a/b", true},
		{"a%", "a/b", false},
		{"inbox", "INBOX", true},
		{"InBox/%", "INBOX/x", true},
		{"INBOX/X", "INBOX/x", false},
		{"ARCHIVE", "Archive", false},
		{"", "a", false},
		{"i%", "INBOX", true},
		{"*", "", true},
	} {
		if got := match(c.pattern, c.name); got != c.want {
			t.Errorf("%.20q matches %.20q: %v", c.pattern, c.name, got)
		}
	}
}
