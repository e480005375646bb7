package dkim_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"regexp"
	"strings"
	"testing"
	"time"

	oracle "github.com/emersion/go-msgauth/dkim"

	"tenma/relay/wire/dkim"
)

// bodyHash hashes a body that arrives in pieces of n octets.
func bodyHash(body string, n int) [sha256.Size]byte {
	b := dkim.NewBodyHash()
	for len(body) > n {
		b.Write([]byte(body[:n]))
		body = body[n:]
	}
	b.Write([]byte(body))
	return b.Sum()
}

// Each body has the hash of its canonical form, however it is cut in pieces.
func TestBody(t *testing.T) {
	for _, c := range []struct{ why, body, canonical string }{
		{"RFC 6376 section 3.4.5, example 2", " C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n"},
		{"no body", "", ""},
		{"empty lines alone are no body", "\r\n\r\n", ""},
		{"nor is white space", " \t\r\n \r\n\t", ""},
		{"a last line gets its end", "x", "x\r\n"},
		{"also behind white space", "x \t", "x\r\n"},
		{"empty lines within count", "\r\n\r\na\r\n\r\n \r\nb\r\n", "\r\n\r\na\r\n\r\n\r\nb\r\n"},
		{"those at the end do not", "a\r\n\r\n \r\n", "a\r\n"},
		{"canonical already", "a b\r\n c\r\nd\r\n", "a b\r\n c\r\nd\r\n"},
		{"a run of white space is one space", "a  b\tc \t d\r\n", "a b c d\r\n"},
		{"one space at the start of a line stays", "  a\r\n", " a\r\n"},
		{"an LF alone ends a line", "a\nb \n", "a\r\nb\r\n"},
		{"a CR alone is an octet", "a\rb\r\r\nc \r", "a\rb\r\r\nc \r\r\n"},
		{"as is any other", "\x00\v\xff\r\n", "\x00\v\xff\r\n"},
	} {
		want := sha256.Sum256([]byte(c.canonical))
		for n := 1; n <= max(1, len(c.body)); n++ {
			if bodyHash(c.body, n) != want {
				t.Errorf("%s, in pieces of %d: not the hash of %q", c.why, n, c.canonical)
			}
		}
	}
	// RFC 6376 section 3.4.4.
	if h := bodyHash("", 1); base64.StdEncoding.EncodeToString(h[:]) != "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" {
		t.Error("the empty body has another hash than the RFC gives")
	}
}

func TestBodyReset(t *testing.T) {
	b := dkim.NewBodyHash()
	for _, rest := range []string{"a \r\n\r\nb ", "\r", "\r\n\r\n", "a\r\n "} {
		b.Write([]byte(rest))
		b.Reset()
		b.Write([]byte("x\r\n"))
		if b.Sum() != bodyHash("x\r\n", 9) {
			t.Errorf("%q is left after a reset", rest)
		}
		b.Reset()
	}
}

func TestField(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"A", " X\r\n", "a:X\r\n"}, // RFC 6376 section 3.4.5, example 1
		{"B", " Y\t\r\n\tZ  \r\n", "b:Y Z\r\n"},
		{"Message-ID", "<1@b.test>", "message-id:<1@b.test>\r\n"},
		{"Subject", "", "subject:\r\n"},
		{"Subject", " \t\r\n \r\n", "subject:\r\n"},
		{"To", "a,\r\n b,\r\n\t  c", "to:a, b, c\r\n"},
		{"X", "\x00 \xff\v", "x:\x00 \xff\v\r\n"},
	} {
		if got := dkim.AppendField([]byte("+"), c.name, []byte(c.value)); string(got) != "+"+c.want {
			t.Errorf("%s:%q is %q", c.name, c.value, got)
		}
	}
}

func TestSignedField(t *testing.T) {
	s := dkim.Signature{Algorithm: "rsa-sha256", Domain: "b.test", Selector: "s1", Time: time.Unix(1700000000, 0), Names: []byte("From:From:\r\n\tTo"), Body: sha256.Sum256(nil)}
	got := string(dkim.AppendSigned([]byte("+"), s.Value(), make([]byte, 100)))
	want := "+DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; t=1700000000;\r\n\td=b.test;\r\n\ts=s1;\r\n\th=From:From:\r\n\tTo;\r\n" +
		"\tbh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n\tb=" + strings.Repeat("A", 73) + "\r\n\t" + strings.Repeat("A", 61) + "==\r\n"
	if got != want {
		t.Errorf("%q\nnot %q", got, want)
	}
}

// What is signed is what go-msgauth verifies: its bh= tag for the same body is
// the same. It hashes byte by byte and knows nothing of stretches and pieces.
func FuzzBody(f *testing.F) {
	for _, s := range []string{"", "\r\n", "a  b\t\r\n\r\n \r\nc", "plain\r\nlines\r\nhere\r\n\r\n", "a\r\n\r\n\r\nb \r\n"} {
		f.Add([]byte(s), byte(3))
	}
	bh := regexp.MustCompile(`bh=([^;]*);`)
	_, key, err := ed25519.GenerateKey(zeros{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte, n byte) {
		// Bodies in the spool have CRLF line ends and no CR or LF elsewhere.
		body = bytes.ReplaceAll(bytes.ReplaceAll(body, []byte("\r"), nil), []byte("\n"), []byte("\r\n"))
		var out strings.Builder
		err := oracle.Sign(&out, strings.NewReader("From: a@b.test\r\n\r\n"+string(body)), &oracle.SignOptions{
			Domain: "b.test", Selector: "s", Signer: key, HeaderCanonicalization: oracle.CanonicalizationRelaxed, BodyCanonicalization: oracle.CanonicalizationRelaxed,
		})
		if err != nil {
			t.Fatal(err)
		}
		field, _, _ := strings.Cut(out.String(), "From: ")
		want := bh.FindStringSubmatch(strings.Join(strings.Fields(field), ""))
		if want == nil {
			t.Fatalf("no bh= in %q", field)
		}
		for _, pieces := range []int{int(n) + 1, len(body) + 1} {
			if h := bodyHash(string(body), pieces); base64.StdEncoding.EncodeToString(h[:]) != want[1] {
				t.Fatalf("in pieces of %d another hash than go-msgauth's", pieces)
			}
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func BenchmarkBody(b *testing.B) {
	for name, line := range map[string]string{"prose": "the quick brown fox jumps over the lazy dog and so on and so forth\r\n", "base64": strings.Repeat("QUJD", 19) + "\r\n", "odd": "a  b  c  d  e  f  g\t\r\n"} {
		text := bytes.Repeat([]byte(line), 4096/len(line))
		b.Run(name, func(b *testing.B) {
			h := dkim.NewBodyHash()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				h.Write(text)
				h.Sum()
				h.Reset()
			}
		})
	}
}
