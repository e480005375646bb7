package dsn

import (
	"errors"
	"strings"
	"testing"
)

func TestXtext(t *testing.T) {
	for _, c := range []struct{ plain, coded string }{
		{"", ""},
		{"a@b.test", "a@b.test"},
		{"a+b=c d", "a+2Bb+3Dc+20d"},
		{"line\r\nRCPT TO:<x>", "line+0D+0ARCPT+20TO:<x>"},
		{"\x00\x7f\xff", "+00+7F+FF"},
	} {
		if got := string(AppendXtext(nil, c.plain)); got != c.coded {
			t.Errorf("encode %q = %q, want %q", c.plain, got, c.coded)
		}
		if got, err := ParseXtext(c.coded); err != nil || got != c.plain {
			t.Errorf("decode %q = %q, %v, want %q", c.coded, got, err, c.plain)
		}
	}
	if got, err := ParseXtext("+2b"); err != nil || got != "+" {
		t.Errorf("lower case digits: %q, %v", got, err)
	}
	for _, bad := range []string{"+", "+2", "a+", "+G0", "+-1", "++1", "a=b", "a b", "a\r\n", "\xfc"} {
		if got, err := ParseXtext(bad); !errors.Is(err, ErrSyntax) {
			t.Errorf("decode %q = %q, %v; want a syntax error", bad, got, err)
		}
	}
}

func TestNotify(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Notify
		out  string
	}{
		{"NEVER", NotifyNever, "NEVER"},
		{"delay,Success", NotifySuccess | NotifyDelay, "SUCCESS,DELAY"},
		{"FAILURE", NotifyFailure, "FAILURE"},
		{"SUCCESS,FAILURE,DELAY", NotifySuccess | NotifyFailure | NotifyDelay, "SUCCESS,FAILURE,DELAY"},
	} {
		n, err := ParseNotify(c.in)
		if err != nil || n != c.want || n.String() != c.out {
			t.Errorf("%q: %v (%s), %v; want %v (%s)", c.in, n, n, err, c.want, c.out)
		}
	}
	for _, bad := range []string{"", "NEVER,DELAY", "SOMETIMES", "FAILURE,", strings.Repeat("DELAY,", 20) + "DELAY"} {
		if n, err := ParseNotify(bad); !errors.Is(err, ErrSyntax) {
			t.Errorf("%q was taken as %v", bad, n)
		}
	}
	if s := Notify(0).String(); s != "" {
		t.Errorf("no parameter is written as %q", s)
	}
}

func TestRetAndEnvID(t *testing.T) {
	for _, r := range []Ret{RetHeaders, RetFull} {
		if got, err := ParseRet(strings.ToLower(r.String())); err != nil || got != r {
			t.Errorf("RET=%s: %v, %v", r, got, err)
		}
	}
	if _, err := ParseRet("HALF"); !errors.Is(err, ErrSyntax) {
		t.Errorf("RET=HALF: %v", err)
	}
	if got, err := ParseEnvID("QQ314159+3Bx"); err != nil || got != "QQ314159;x" {
		t.Errorf("ENVID: %q, %v", got, err)
	}
	for _, bad := range []string{"", "a+0D+0Ab", "+FF", strings.Repeat("x", MaxEnvID+1)} {
		if got, err := ParseEnvID(bad); !errors.Is(err, ErrSyntax) {
			t.Errorf("ENVID=%q was taken as %q", bad, got)
		}
	}
}

func TestORcpt(t *testing.T) {
	for _, c := range []struct{ in, want, out string }{
		{"rfc822;Bob+2BX@big.test", "rfc822;Bob+X@big.test", "rfc822;Bob+2BX@big.test"},
		{"RFC822;a@b.test", "RFC822;a@b.test", "RFC822;a@b.test"},
		{`utf-8;\x{FC}+@b.test`, "", ""}, // a plus sign must be escaped in this form
		{`utf-8;\x{FC}\x{2B}@b.test`, "utf-8;ü+@b.test", `utf-8;\x{FC}\x{2B}@b.test`},
		{`UTF-8;ü@b.test`, "UTF-8;ü@b.test", `UTF-8;\x{FC}@b.test`},
		{"x400;/C=us/+0A", "x400;/C=us/\n", ""}, // "=" must be escaped
		{"x400;/C+3Dus/+0A", "x400;/C=us/\n", "x400;/C+3Dus/+0A"},
	} {
		got, err := ParseORcpt(c.in)
		if c.out == "" {
			if !errors.Is(err, ErrSyntax) {
				t.Errorf("%q was taken as %q", c.in, got)
			}
			continue
		}
		if err != nil || got != c.want {
			t.Errorf("%q: %q, %v; want %q", c.in, got, err, c.want)
		}
		if back := string(AppendORcpt(nil, got)); back != c.out {
			t.Errorf("%q is written as %q, want %q", got, back, c.out)
		}
	}
	for _, bad := range []string{"", "a@b.test", ";a@b.test", "rfc822;", "rf c;a", `utf-8;\x{D800}`, `utf-8;\x{110000}`, `utf-8;\x{`, `utf-8;\u00e9`, "rfc822;" + strings.Repeat("a", MaxORcpt)} {
		if got, err := ParseORcpt(bad); !errors.Is(err, ErrSyntax) {
			t.Errorf("%q was taken as %q", bad, got)
		}
	}
	if got := string(AppendORcpt(nil, "no type\r\n")); got != "rfc822;no+20type+0D+0A" {
		t.Errorf("an address without a type is written as %q", got)
	}
}

func FuzzXtext(f *testing.F) {
	f.Add("a+2Bb", "a+b\r\n")
	f.Fuzz(func(t *testing.T, coded, plain string) {
		_, _ = ParseXtext(coded)
		x := string(AppendXtext(nil, plain))
		if !printable(x) || strings.ContainsAny(x, " =") {
			t.Errorf("%q is not fit for a command", x)
		}
		if got, err := ParseXtext(x); err != nil || got != plain {
			t.Errorf("%q came back as %q, %v", plain, got, err)
		}
	})
}

func FuzzORcpt(f *testing.F) {
	f.Add("rfc822;a+2B@b.test")
	f.Add(`utf-8;\x{FC}@b.test`)
	f.Add("=;0")
	f.Fuzz(func(t *testing.T, s string) {
		o, err := ParseORcpt(s)
		if err != nil {
			return
		}
		w := string(AppendORcpt(nil, o))
		if !printable(w) || strings.ContainsAny(w, " =") {
			t.Errorf("%q is not fit for a command", w)
		}
		if len(w) <= MaxORcpt {
			if back, err := ParseORcpt(w); err != nil || back != o {
				t.Errorf("%q, written as %q, came back as %q, %v", o, w, back, err)
			}
		}
	})
}
