package literal8

import (
	"bytes"
	"testing"
)

func TestEncode(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"nothing to do", "A: b\r\n\r\nx", "A: b\r\n\r\nx"},
		{
			"one part", "A: b\r\nContent-Transfer-Encoding:\r\n binary\r\nC: d\r\n\r\n\x00\x01\x02",
			"Content-Transfer-Encoding: base64\r\nA: b\r\nC: d\r\n\r\nAAEC\r\n",
		},
		{"text with LF", "A: b\n\nx\n", "A: b\n\nx\n"},
		{
			"binary with LF", "Content-Transfer-Encoding: Binary\r\n\r\na\nb", "Content-Transfer-Encoding: base64\r\n\r\nYQpi\r\n",
		},
		{"binary with CRLF", "Content-Transfer-Encoding: binary\r\n\r\na\r\nb", "Content-Transfer-Encoding: binary\r\n\r\na\r\nb"},
		{
			"one of two", "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\ntext\r\n--x\r\n\r\n\x00\r\n--x--\r\n",
			"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\ntext\r\n--x\r\nContent-Transfer-Encoding: base64\r\n\r\nAA==\r\n\r\n--x--\r\n",
		},
	} {
		if got, err := Encode([]byte(c.in)); err != nil || string(got) != c.want {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
	for _, bad := range []string{
		"A: \x00\r\n\r\n", "Content-Transfer-Encoding: x-y\r\n\r\n\x00",
		"Content-Type: multipart/mixed; boundary=x\r\n\r\n\x00\r\n--x\r\n\r\ntext\r\n--x--\r\n",
	} {
		if got, err := Encode([]byte(bad)); err == nil {
			t.Errorf("%q becomes %q", bad, got)
		}
	}
}

func FuzzEncode(f *testing.F) {
	f.Add([]byte("A: b\r\nContent-Transfer-Encoding: binary\r\n\r\n\x00"))
	f.Add([]byte("Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: message/rfc822\r\n\r\n\r\n\x00\r\n--x--\r\n"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		got, err := Encode(msg)
		if err == nil && bytes.IndexByte(got, 0) >= 0 {
			t.Errorf("%q keeps NUL: %q", msg, got)
		}
	})
}
