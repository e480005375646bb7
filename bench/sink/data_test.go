package sink

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"tenma/bench/load"
)

// reference finds the end the simple way: the data begins after a line end.
func reference(all []byte) int {
	i := bytes.Index(append([]byte("\r\n"), all...), []byte("\r\n.\r\n"))
	if i < 0 {
		return -1
	}
	return i + 3
}

// pieces cuts a text at every place that a byte of cuts asks for.
func pieces(all, cuts []byte) [][]byte {
	var out [][]byte
	for i := 0; len(all) > 0; i++ {
		n := len(all)
		if i < len(cuts) {
			n = min(n, int(cuts[i])+1)
		}
		out = append(out, all[:n])
		all = all[n:]
	}
	return out
}

// find runs the scanner over pieces.
func find(all, cuts []byte) int {
	var s scanner
	s.start()
	at := 0
	for _, p := range pieces(all, cuts) {
		n, done := s.next(p)
		at += n
		if done {
			return at
		}
		if n != len(p) {
			return -2
		}
	}
	return -1
}

// Every way of cutting a text at two places finds the same end.
func TestEndAcrossBorders(t *testing.T) {
	for _, text := range []string{
		".\r\n", "a\r\n.\r\nb", "\r\n.\r\n", "\r\r\n.\r\n", "\r\n.\r\r\n.\r\n", "a\n.\n", "a\r.\r\n.\r\n", "..\r\n.\r\n",
		"\r\n..\r\n.\r\n", "\r\n.\r.\r\n.\r\n", "\r\n\r\n.\r\n", "\r\n.\r\n.\r\n", "\r\n. \r\n", ".\r.\r\n", "\r\n.", "a\r\n.\n\r\n.\r\n", "\n.\r\n",
	} {
		want := reference([]byte(text))
		for i := range len(text) {
			for j := range len(text) {
				if got := find([]byte(text), []byte{byte(i), byte(j)}); got != want {
					t.Fatalf("%q cut after %d and %d more: end at %d, want %d", text, i+1, j+1, got, want)
				}
			}
		}
	}
}

func FuzzScanner(f *testing.F) {
	f.Add([]byte("a\r\n.\r\nMAIL"), []byte{3, 0, 0})
	f.Add([]byte("\r\n.\r\r\n.\r\n"), []byte{0, 0, 0, 0, 0, 0})
	f.Add([]byte(strings.Repeat("x\r\n..\n", 50)+"\r\n.\r\n"), []byte{255, 40})
	f.Fuzz(func(t *testing.T, all, cuts []byte) {
		// The interesting octets are few: make them frequent.
		for i, c := range all {
			if c < 128 {
				all[i] = "\r\n.x"[c%4]
			}
		}
		if got, want := find(all, cuts), reference(all); got != want {
			t.Errorf("%q cut by %v: end at %d, want %d", all, cuts, got, want)
		}
	})
}

// referenceHeads reads a header the simple way.
func referenceHeads(all string) (tag load.Tag, tagged bool, signatures int64) {
	for line := range strings.Lines(all) {
		if !strings.HasSuffix(line, "\n") {
			break
		}
		line = strings.TrimSuffix(line, "\n")
		if line == "" || line == "\r" {
			break
		}
		if len(line) > maxField {
			line = line[:maxField]
		}
		if regexp.MustCompile(`(?i)^dkim-signature:`).MatchString(line) {
			signatures++
		}
		if regexp.MustCompile(`(?i)^x-bench:`).MatchString(line) && !tagged {
			tag, tagged = load.ParseTag(line[len("x-bench:"):])
		}
	}
	return tag, tagged, signatures
}

func FuzzHeads(f *testing.F) {
	for _, s := range []string{
		"X-Bench: r1 7\r\nDKIM-Signature: x\r\n\r\nX-Bench: r1 8\r\n",
		"x-bench:r1 33554431\nX-Bench: r2 1\n\n",
		"X-Bench: r1 0007\r\nX-Bench: r1 \r\nX-Bench: r1 99999999\r\n",
		"X-Benchmark: r1 1\r\nX: \r\nD\r\n" + strings.Repeat("x", 500) + "\r\nX-Bench: " + strings.Repeat("r", 64) + " 1\r\n\r\n",
		"X-Bench: r1 33554432\r\n", "X-Bench: r1 4294967303\r\n", "X-Bench: r1 18446744073709551623\r\n", "X-Bench: r1 -1\r\n", "X-Bench: r1 7x\r\n",
		"X-Bench: " + strings.Repeat("r", 118) + " 12\r\n",
	} {
		f.Add(s, []byte{0, 1, 2, 3, 4, 5})
		f.Add(s, []byte{})
	}
	f.Fuzz(func(t *testing.T, s string, cuts []byte) {
		var h heads
		h.tag = load.Tag{Run: "r1", N: 9} // of the message before
		h.start()
		for _, p := range pieces([]byte(s), cuts) {
			h.next(p)
		}
		tag, tagged, signatures := referenceHeads(s)
		if h.tagged != tagged || tagged && h.tag != tag || h.signatures != signatures {
			t.Errorf("%q: %v %v %d, want %v %v %d", s, h.tag, h.tagged, h.signatures, tag, tagged, signatures)
		}
	})
}
