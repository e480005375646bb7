package front

import (
	"math"
	"strings"
	"testing"
)

func TestCutLiteral(t *testing.T) {
	for in, want := range map[string]struct {
		head    string
		size    int64
		nonSync bool
		ok      bool
	}{
		"a b {5}":                     {"a b ", 5, false, true},
		"a b {5+}":                    {"a b ", 5, true, true},
		"{0}":                         {"", 0, false, true},
		"~{007+}":                     {"~", 7, true, true},
		"x {9223372036854775807}":     {"x ", math.MaxInt64, false, true},
		"x {9223372036854775800}":     {"x ", math.MaxInt64, false, true},
		"x {99999999999999999999999}": {"x ", math.MaxInt64, false, true},
		"x {}":                        {"x {}", 0, false, false},
		"x {+}":                       {"x {+}", 0, false, false},
		"x {5":                        {"x {5", 0, false, false},
		"x 5}":                        {"x 5}", 0, false, false},
		"x {-5}":                      {"x {-5}", 0, false, false},
		"x {5++}":                     {"x {5++}", 0, false, false},
		"x {5}y":                      {"x {5}y", 0, false, false},
		"":                            {"", 0, false, false},
	} {
		head, l, ok := cutLiteral([]byte(in))
		if string(head) != want.head || ok != want.ok || ok && l != (literal{want.size, want.nonSync}) {
			t.Errorf("%q: %q %v %v", in, head, l, ok)
		}
	}
}

func TestScanner(t *testing.T) {
	deep := strings.Repeat("(", maxNesting)
	for in, want := range map[string]string{
		`a "b\"c" d`: "", `a "b`: "without an end", `a "b\"`: "without an end", `a \"b`: "without an end", `"\\" x`: "",
		"a\x00": "NUL", "a\rb": "CR", "\"\x00\"": "NUL",
		deep: "", deep + "(": "too deep", `"` + deep + `((("`: "", deep + ")(": "",
		strings.Repeat(" NOT", maxRecursion) + " x":        "",
		strings.Repeat(" NOT", maxRecursion+1) + " x":      "too many",
		`"` + strings.Repeat(" NOT", maxRecursion+1) + `"`: "",
		strings.Repeat(" NOTE ORB", maxRecursion):          "",
	} {
		var s scanner
		if got := s.line([]byte(in)); got != want && (want == "" || !strings.Contains(got, want)) {
			t.Errorf("%.40q: %q, want %q", in, got, want)
		}
	}
}

func TestIsTag(t *testing.T) {
	for in, want := range map[string]bool{
		"a1": true, "A.b-c=[": true, "": false, "+": false, "a+": false, "*": false, "a b": false, "a(": false,
		"a\x7f": false, "é": false, strings.Repeat("a", 64): true, strings.Repeat("a", 65): false,
	} {
		if isTag([]byte(in)) != want {
			t.Errorf("%.40q: %v", in, !want)
		}
	}
}
