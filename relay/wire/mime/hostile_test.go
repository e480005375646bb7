package mime

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
)

// counted is a message that counts what is read of it, in order or not.
type counted struct {
	*bytes.Reader
	octets int64
}

func (c *counted) ReadAt(p []byte, at int64) (int, error) {
	n, err := c.Reader.ReadAt(p, at)
	c.octets += int64(n)
	return n, err
}

func nested(depth int, open func(i int) string) []byte {
	var b bytes.Buffer
	for i := range depth {
		b.WriteString(open(i))
	}
	b.WriteString("\r\ninnermost\r\n")
	return b.Bytes()
}

func hostile() map[string][]byte {
	return map[string][]byte{
		"nested multiparts": nested(10_000, func(i int) string {
			return fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
		}),
		"nested multiparts of one boundary": nested(10_000, func(int) string {
			return "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
		}),
		"nested messages": nested(100_000, func(int) string { return "Content-Type: message/rfc822\r\n\r\n" }),
		"nested without ends of headers": nested(10_000, func(i int) string {
			return fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\r\n--b%d\r\n", i, i)
		}),
		"siblings":         []byte("Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n\r\nx\r\n", 100_000)),
		"siblings at once": []byte("Content-Type: multipart/digest; boundary=b\r\n\r\n" + strings.Repeat("--b\n", 100_000)),
		"fields":           []byte(strings.Repeat("X: y\r\n", 1_000_000) + "\r\nbody"),
		"type fields":      []byte(strings.Repeat("Content-Type: multipart/mixed; boundary=b\r\n", 100_000) + "\r\nbody"),
		"params":           []byte("Content-Type: text/plain" + strings.Repeat("; a*1*=b", 100_000) + "\r\n\r\nbody"),
		"params in parts": []byte("Content-Type: multipart/mixed; boundary=b\r\n\r\n" +
			strings.Repeat("--b\r\nContent-Type: text/plain"+strings.Repeat("; abc*0=d", 200)+"\r\n\r\nx\r\n", 5000)),
		"addresses": []byte("To: " + strings.Repeat("a@b,", 1_000_000) + "\r\nFrom: " + strings.Repeat("<", 200_000) + "\r\n\r\n"),
		"addresses in parts": []byte("Content-Type: multipart/digest; boundary=b\r\n\r\n" +
			strings.Repeat("--b\r\n\r\nTo: "+strings.Repeat("a@b,", 200)+"\r\n\r\nx\r\n", 5000)),
		"comments":    []byte("Content-Type: " + strings.Repeat("(", 250_000) + "\r\nTo: " + strings.Repeat("(a", 100_000) + "\r\n\r\n"),
		"delimiters":  []byte("Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--", 1_000_000) + strings.Repeat("\r\n--c", 300_000)),
		"no line end": bytes.Repeat([]byte("a"), 4<<20),
		"line feeds":  bytes.Repeat([]byte("\n"), 4<<20),
		"boundaries that begin alike": append(nested(90, func(i int) string {
			return fmt.Sprintf("Content-Type: multipart/mixed; boundary=%s%02d\r\n\r\n--%s%02d\r\n", strings.Repeat("b", 900), i, strings.Repeat("b", 900), i)
		}), strings.Repeat("--"+strings.Repeat("b", 900)+"xx\r\n", 4000)...),
	}
}

// Whatever a message is made of, it is read once, and its tree takes no more
// than the package promises.
func TestHostile(t *testing.T) {
	for name, msg := range hostile() {
		t.Run(name, func(t *testing.T) {
			r := &counted{Reader: bytes.NewReader(msg)}
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			p, err := Parse(r, int64(len(msg)), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > 20<<20 {
				t.Errorf("the tree takes %d octets", kept)
			}
			if r.octets != int64(len(msg)) {
				t.Errorf("read %d octets of %d", r.octets, len(msg))
			}
			if n := check(t, p, Range{0, int64(len(msg))}, 0); n > 2*DefaultLimits().Parts {
				t.Errorf("%d parts", n)
			}
			if made := after.TotalAlloc - before.TotalAlloc; made > 64<<20+30*uint64(len(msg)) {
				t.Errorf("allocated %d octets on the way", made)
			}
			runtime.KeepAlive(p)
		})
	}
}

func TestHostileFilter(t *testing.T) {
	msg := hostile()["fields"]
	r := &counted{Reader: bytes.NewReader(msg)}
	n, err := WriteFields(io.Discard, r, Range{0, int64(len(msg))}, []string{"X"}, false)
	if want := int64(6_000_000 + 2); err != nil || n != want {
		t.Errorf("%d, %v; want %d", n, err, want)
	}
}

// The number of names that are asked for costs nothing for each field. Comparing a
// million fields with each of 100,000 names would take hours.
func TestHostileFilterNames(t *testing.T) {
	msg := hostile()["fields"]
	names := make([]string, 100_000)
	for i := range names {
		names[i] = fmt.Sprintf("x%d", i)
	}
	n, err := WriteFields(io.Discard, bytes.NewReader(msg), Range{0, int64(len(msg))}, append(names, "x"), true)
	if err != nil || n != 2 {
		t.Errorf("%d, %v; want the empty line", n, err)
	}
}

// broken fails behind some octets.
type broken struct{ at int64 }

func (b broken) ReadAt(p []byte, at int64) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	if at+int64(len(p)) > b.at {
		return int(max(b.at-at, 0)), io.ErrClosedPipe
	}
	return len(p), nil
}

func TestReadErrors(t *testing.T) {
	if _, err := Parse(broken{100_000}, 200_000, Limits{}); err != io.ErrClosedPipe {
		t.Error(err)
	}
	if _, _, err := ReadHeader(broken{10_000}, 200_000, 0); err != io.ErrClosedPipe {
		t.Error(err)
	}
	if _, err := WriteFields(io.Discard, broken{10_000}, Range{0, 100_000}, nil, true); err != io.ErrClosedPipe {
		t.Error(err)
	}
	if _, err := Parse(strings.NewReader("short"), 100, Limits{}); err != io.ErrUnexpectedEOF {
		t.Error(err)
	}
}

func BenchmarkParse(b *testing.B) {
	text := []byte("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n" + strings.Repeat("a line of text as people write them, of usual length\r\n", 20_000) +
		"--b\r\nContent-Transfer-Encoding: base64\r\n\r\n" + strings.Repeat(strings.Repeat("QUJD", 19)+"\r\n", 100_000) + "--b--\r\n")
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		parse(b, text)
	}
}
