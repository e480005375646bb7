package smtp

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParsePath(t *testing.T) {
	long := strings.Repeat("l", MaxLocal)
	for _, tc := range []struct {
		in   string
		want Address
		rest string
		err  error
	}{
		{in: "<>", want: Address{}},
		{in: "<> SIZE=1", want: Address{}, rest: " SIZE=1"},
		{in: "<a@b.test>", want: Address{"a", "b.test"}},
		{in: "<A.b+c@B.TEST.> X", want: Address{"A.b+c", "b.test"}, rest: " X"},
		{in: "<a@b.test>x", want: Address{"a", "b.test"}, rest: "x"},
		{in: `<"a b"@c.test>`, want: Address{"a b", "c.test"}},
		{in: `<"a\"\\>b"@c.test> Y`, want: Address{`a"\>b`, "c.test"}, rest: " Y"},
		{in: `<"a@b"@c.test>`, want: Address{"a@b", "c.test"}},
		{in: `<"plain"@c.test>`, want: Address{"plain", "c.test"}},
		{in: "<Postmaster>", want: Address{Local: "Postmaster"}},
		{in: `<"postmaster">`, want: Address{Local: "postmaster"}},
		{in: "<@r.test,@s.test:a@b.test>", want: Address{"a", "b.test"}}, // RFC 5321 appendix C
		{in: "<a@[192.0.2.1]>", want: Address{"a", "[192.0.2.1]"}},
		{in: "<a@[IPv6:2001:db8::1]>", want: Address{"a", "[IPv6:2001:db8::1]"}},
		{in: "<ü@bücher.test>", want: Address{"ü", "xn--bcher-kva.test"}},
		{in: "<a@_dmarc.b.test>", want: Address{"a", "_dmarc.b.test"}},
		{in: "<" + long + "@b.test>", want: Address{Local: long, Domain: "b.test"}},
		{in: "<l" + long + "@b.test>", err: ErrLength},
		{in: "<a@" + strings.Repeat("d.", 127) + "d>", err: ErrLength},
		{in: "<@" + strings.Repeat("r", 2000) + ":a@b.test>", err: ErrLength},
		{in: "", err: ErrSyntax},
		{in: "a@b.test", err: ErrSyntax},
		{in: "<a@b.test", err: ErrSyntax},
		{in: "<a>", err: ErrSyntax},
		{in: "<@b.test>", err: ErrSyntax},
		{in: "<a@>", err: ErrSyntax},
		{in: "<.a@b.test>", err: ErrSyntax},
		{in: "<a..b@b.test>", err: ErrSyntax},
		{in: "<a b@b.test>", err: ErrSyntax},
		{in: "<a@b@c.test>", err: ErrSyntax},
		{in: "<<a@b.test>>", err: ErrSyntax},
		{in: `<""@b.test>`, err: ErrSyntax},
		{in: `<"a@b.test>`, err: ErrSyntax},
		{in: `<"a"b@c.test>`, err: ErrSyntax},
		{in: "<\"a\tb\"@c.test>", err: ErrSyntax},
		{in: "<\"a\\\rb\"@c.test>", err: ErrSyntax},
		{in: "<a@b..test>", err: ErrSyntax},
		{in: "<a@-b.test>", err: ErrSyntax},
		{in: "<a@b-.test>", err: ErrSyntax},
		{in: "<a@b.te st>", err: ErrSyntax},
		{in: "<a@" + strings.Repeat("d", 64) + ".test>", err: ErrSyntax},
		{in: "<a@[300.0.0.1]>", err: ErrSyntax},
		{in: "<a@[2001:db8::1]>", err: ErrSyntax},
		{in: "<a@[IPv6:192.0.2.1]>", err: ErrSyntax},
		{in: "<a@[IPv6:fe80::1%eth0]>", err: ErrSyntax},
		{in: "<a@[192.0.2.1>", err: ErrSyntax},
		{in: "<a\xff@b.test>", err: ErrSyntax},
		{in: "<\"\\\xff\"@b.test>", err: ErrSyntax},
		{in: "<a@b\xff.test>", err: ErrSyntax},
	} {
		got, rest, err := ParsePath(tc.in)
		if !errors.Is(err, tc.err) || (err != nil) != (tc.err != nil) {
			t.Errorf("%.60q: error %v, want %v", tc.in, err, tc.err)
			continue
		}
		if err == nil && (got != tc.want || rest != tc.rest) {
			t.Errorf("%q: %+v, rest %q", tc.in, got, rest)
		}
	}
}

func TestAddressString(t *testing.T) {
	for want, a := range map[string]Address{
		"":                   {},
		"a@b.test":           {"a", "b.test"},
		"postmaster":         {Local: "postmaster"},
		`"a b"@c.test`:       {"a b", "c.test"},
		`"a\"\\b"@c.test`:    {`a"\b`, "c.test"},
		`".a"@c.test`:        {".a", "c.test"},
		`"x@y"@c.test`:       {"x@y", "c.test"},
		"ü@xn--bcher-kva.de": {"ü", "xn--bcher-kva.de"},
	} {
		if got := a.String(); got != want {
			t.Errorf("%+v: %s, want %s", a, got, want)
		}
	}
	if !(Address{Local: "ü"}).NeedsUTF8() || (Address{"a", "xn--bcher-kva.de"}).NeedsUTF8() {
		t.Error("NeedsUTF8")
	}
}

func TestLiteral(t *testing.T) {
	for in, want := range map[Domain]string{
		"[192.0.2.1]": "192.0.2.1", "[IPv6:2001:db8::1]": "2001:db8::1", "[ipv6:::1]": "::1",
		"[IPv6:::ffff:192.0.2.1]": "::ffff:192.0.2.1",
	} {
		if got, ok := in.Literal(); !ok || got != netip.MustParseAddr(want) || !in.IsLiteral() {
			t.Errorf("%s: %v, %v", in, got, ok)
		}
	}
	for _, in := range []Domain{"", "[]", "[x]", "b.test", "192.0.2.1", "[192.0.2.1", "[::1]"} {
		if a, ok := in.Literal(); ok {
			t.Errorf("%q is %v", in, a)
		}
	}
}

// What was read can be written, and read again as the same.
// What a mailbox shows must not steer the terminal that shows it: U+009B is the
// same as ESC [ there.
func TestNoControlsInMailboxes(t *testing.T) {
	for _, r := range "\x00\t\r\n\x1b\x7f\u0080\u0085\u009b\u009f\u2028\u2029" {
		for _, s := range []string{"a" + string(r) + "b@c.test", `"a` + string(r) + `b"@c.test`, `"a\` + string(r) + `b"@c.test`, "a@c" + string(r) + ".test"} {
			if a, err := ParseMailbox(s); !errors.Is(err, ErrSyntax) {
				t.Errorf("%q became %q, %v", s, a, err)
			}
		}
	}
	if _, err := ParseMailbox("ü\u00a0@c.test"); err != nil {
		t.Error(err)
	}
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{
		"<>", "<a@b.test> SIZE=1", `<"a b\"c"@d.test>`, "<@r.test:a@b.test>", "<postmaster>",
		"<ü@bücher.test>", "<a@[192.0.2.1]>", "<a@[IPv6:2001:db8::1]>", "<a%b@c.test>",
		"<\u009b31m@b.test>", "<\"a\u0085b\"@b.test>", "<a\u2028b@b.test>",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		a, rest, err := ParsePath(in)
		if err != nil {
			if !errors.Is(err, ErrSyntax) && !errors.Is(err, ErrLength) {
				t.Errorf("%q: error %v wraps neither", in, err)
			}
			return
		}
		if !strings.HasSuffix(in, rest) || len(rest) >= len(in) {
			t.Fatalf("%q: rest %q", in, rest)
		}
		if len(a.Local) > MaxLocal || len(a.Domain) > MaxDomain || !utf8.ValidString(a.Local) {
			t.Errorf("%q: %+v", in, a)
		}
		text := a.String()
		for _, b := range []byte(text) {
			if b < 0x20 || b == 0x7f {
				t.Errorf("%q: control character in %q", in, text)
			}
		}
		again, after, err := ParsePath("<" + text + ">" + " X")
		if err != nil || again != a || after != " X" {
			t.Errorf("%q: %+v written as %q is read as %+v, %q, %v", in, a, text, again, after, err)
		}
	})
}

func FuzzParseDomain(f *testing.F) {
	for _, s := range []string{"b.test", "B.Test.", "bücher.test", "[192.0.2.1]", "[IPv6:::1]", "xn--bcher-kva.test", "a_b.c", "ß.test", "例え。テスト"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		d, err := ParseDomain(in)
		if err != nil {
			return
		}
		if again, err := ParseDomain(string(d)); err != nil || again != d {
			t.Errorf("%q became %q, which became %q, %v", in, d, again, err)
		}
		if !isASCII(string(d)) || d == "" || !d.IsLiteral() && (len(d) > 253 || strings.ToLower(string(d)) != string(d)) {
			t.Errorf("%q became %q", in, d)
		}
	})
}
