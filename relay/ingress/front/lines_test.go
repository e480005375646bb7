package front

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"tenma/relay/wire/smtp"
)

// feed runs octets through lines as if they came in pieces of the given
// lengths, over and over, and gives what was emitted, what follows the end, and
// the error.
func feed(s *lines, in string, pieces ...int) (out, rest string, end bool, err error) {
	var got bytes.Buffer
	emit := func(p []byte) error { got.Write(p); return nil }
	var have []byte
	for i := 0; len(in) > 0; i++ {
		n := min(pieces[i%len(pieces)], len(in))
		have, in = append(have, in[:n]...), in[n:]
		n, end, err = s.step(have, emit)
		have = have[n:]
		if end || err != nil {
			return got.String(), string(have) + in, end, err
		}
		if len(have) > 2 {
			return got.String(), string(have) + in, false, errors.New("more than two octets held back")
		}
	}
	return got.String(), string(have), false, nil
}

func TestLines(t *testing.T) {
	for _, tc := range []struct {
		name, in, out, rest string
		end                 bool
		err                 string
		mend                bool
	}{
		{name: "nothing", in: ".\r\n", end: true},
		{name: "end and more", in: "a\r\n.\r\nQUIT\r\n", out: "a\r\n", rest: "QUIT\r\n", end: true},
		{name: "stuffed", in: "..\r\n.a\r\n...\r\n.\r\n", out: ".\r\na\r\n..\r\n", end: true},
		{name: "dot inside", in: "a.\r\nb\r\n.\r\n", out: "a.\r\nb\r\n", end: true},
		{name: "empty lines", in: "\r\n\r\n.\r\n", out: "\r\n\r\n", end: true},
		{name: "not yet", in: "a\r\n.\r", out: "a\r\n", rest: ".\r"},
		{name: "no line end", in: "abc", out: "abc"},
		{name: "bare LF", in: "a\nb\r\n.\r\n", err: "bare LF", rest: "a\nb\r\n.\r\n"},
		{name: "bare LF mended", in: "a\n\n.\n.b\nc\n.\r\n..\r\n.\r\n", out: "a\r\n\r\n.\r\nb\r\nc\r\n.\r\n.\r\n", end: true, mend: true},
		{name: "LF dot LF", in: "\n.\n", out: "\r\n.\r\n", mend: true},
		{name: "bare CR", in: "a\rb\r\n.\r\n", err: "bare CR", mend: true},
		{name: "two CRs", in: "a\r\r\n.\r\n", err: "bare CR", mend: true},
		{name: "dot CR", in: "a\r\n.\rb\r\n", err: "bare CR", mend: true},
		{name: "NUL", in: "a\x00b\r\n.\r\n", out: "a\x00b\r\n", end: true},
		{name: "at the limit", in: strings.Repeat("x", 100) + "\r\n.\r\n", out: strings.Repeat("x", 100) + "\r\n", end: true},
		{name: "over the limit", in: strings.Repeat("x", 101) + "\r\n.\r\n", err: "longer"},
	} {
		for _, pieces := range [][]int{{1 << 20}, {1}, {2}, {3}, {1, 2, 3, 5, 7}} {
			s := &lines{dots: true, mendLF: tc.mend, maxLine: 100}
			out, rest, end, err := feed(s, tc.in, pieces...)
			if tc.err != "" {
				var e *smtp.Error
				if !errors.As(err, &e) || !strings.Contains(e.Reply.Text, tc.err) || e.Reply.Code != 550 {
					t.Errorf("%s by %v: error %v", tc.name, pieces, err)
				}
				continue
			}
			if err != nil || out != tc.out || rest != tc.rest || end != tc.end {
				t.Errorf("%s by %v: %q, rest %q, end %v, %v", tc.name, pieces, out, rest, end, err)
			}
			longest := 0
			for line := range strings.Lines(out) {
				if text, whole := strings.CutSuffix(line, "\r\n"); whole {
					longest = max(longest, len(text))
				}
			}
			if s.longest != longest {
				t.Errorf("%s by %v: the longest line has %d octets, not %d", tc.name, pieces, longest, s.longest)
			}
		}
	}
}

// A last line that nothing ends, and a CR that its LF comes behind in another chunk,
// count as well.
func TestLongestLine(t *testing.T) {
	for name, chunks := range map[string][]string{"no end": {"a\r\n", "bcd"}, "cut": {"bcd\r", "\na"}} {
		s := &lines{}
		emit := func([]byte) error { return nil }
		for _, c := range chunks {
			n, _, err := s.step([]byte(c), emit)
			if err != nil {
				t.Fatal(err)
			}
			if n < len(c) {
				s.hold()
			}
		}
		if err := s.finish(emit); err != nil || s.longest != 3 {
			t.Errorf("%s: %d octets, %v", name, s.longest, err)
		}
	}
}

// naive is lines in its plainest form, over the whole content at once: cut
// into lines at LF, look at each.
func naive(in string, mend bool) (out, rest string, end, ok bool) {
	afterLF := false
	for {
		line, after, found := strings.Cut(in, "\n")
		if !found {
			return out, in, false, true
		}
		text, hasCR := strings.CutSuffix(line, "\r")
		switch {
		case line == ".\r" && !afterLF:
			return out, after, true, true
		case strings.Contains(text, "\r"), !hasCR && !mend:
			return out, in, false, false
		}
		if len(text) > 1 && text[0] == '.' {
			text = text[1:]
		}
		out += text + "\r\n"
		in, afterLF = after, !hasCR
	}
}

func against(t *testing.T, in string, mend bool, pieces ...int) {
	t.Helper()
	want, wantRest, wantEnd, ok := naive(in, mend)
	s := &lines{dots: true, mendLF: mend}
	out, rest, end, err := feed(s, in, pieces...)
	if !ok {
		if err == nil && !strings.HasSuffix(in, "\n") {
			return // the offending line may still be waiting for its end
		}
		if err == nil {
			t.Errorf("%q (mend %v, by %v): not refused", in, mend, pieces)
		}
		// What is refused ends where the plainest reader sees the end.
		s.skip = true
		_, rest, end, err = feed(s, rest, pieces...)
		_, want, wantEnd := strings.Cut(crlfBefore(in), "\r\n.\r\n")
		if err != nil || end != wantEnd || end && rest != want {
			t.Errorf("%q (mend %v, by %v): skipped to %q, %v, %v; want %q, %v", in, mend, pieces, rest, end, err, want, wantEnd)
		}
		return
	}
	if end != wantEnd || end && (rest != wantRest || out != want) || err != nil && strings.HasSuffix(in, "\n") {
		t.Errorf("%q (mend %v, by %v): %q, rest %q, end %v, %v; want %q, %q, %v", in, mend, pieces, out, rest, end, err, want, wantRest, wantEnd)
	}
	if !strings.HasPrefix(out, want) && err == nil {
		t.Errorf("%q: %q does not begin with %q", in, out, want)
	}
	if bare := strings.ReplaceAll(out, "\r\n", ""); strings.ContainsAny(bare, "\r\n") {
		t.Errorf("%q became %q", in, out)
	}
}

// crlfBefore puts the line end of the DATA command before a body.
func crlfBefore(in string) string { return "\r\n" + in }

func TestLinesAgainstNaive(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		in := make([]byte, r.IntN(20))
		for i := range in {
			in[i] = "\r\n.\r\n.ab\x00"[r.IntN(9)]
		}
		against(t, string(in), r.IntN(2) == 0, 1+r.IntN(4), 1+r.IntN(4))
	}
}

func FuzzLines(f *testing.F) {
	f.Add("a\r\n..b\r\n.\r\nQUIT\r\n", false, uint8(3))
	f.Add("a\n.\n.\r\n\r\n.\r\n", true, uint8(1))
	f.Add("\r\n.\r.\r\n\r\r\n", false, uint8(2))
	f.Fuzz(func(t *testing.T, in string, mend bool, piece uint8) {
		if len(in) > 1000 {
			return
		}
		against(t, in, mend, 1+int(piece))
	})
}

func FuzzParseChunk(f *testing.F) {
	for _, s := range []string{"10", "10 LAST", "0 last", "-1", "99999999999999999999", "", " 1  LAST "} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, arg []byte) {
		size, _, ok := parseChunk(arg)
		if ok && size < 0 {
			t.Errorf("%q: %d", arg, size)
		}
	})
}

func BenchmarkLines(b *testing.B) {
	body := []byte(strings.Repeat(strings.Repeat("x", 76)+"\r\n", 64<<10/78))
	body = append(body, ".\r\n"...)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		s := lines{dots: true, maxLine: 1000}
		if _, end, err := s.step(body, func([]byte) error { return nil }); !end || err != nil {
			b.Fatal(end, err)
		}
	}
}
