package authres_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tenma/relay/wire/authres"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		why, value, host string
		want             []authres.Result
	}{
		{"RFC 8601 appendix B.1", " example.org 1; none\r\n", "example.org", nil},
		{"appendix B.3", " example.com;\r\n\tspf=pass smtp.mailfrom=example.net", "example.com", []authres.Result{{Method: "spf", Value: "pass", Properties: []authres.Property{{"smtp.mailfrom", "example.net"}}}}},
		{"appendix B.7", " foo.example.net (foobar) 1 (baz);\r\n\tdkim (Because I like it) / 1 (One yay) = (wait for it) fail\r\n\t policy (A dot can go here) . (like that) expired\r\n\t(this surprised me) = (as I wasn't expecting it) 1362471462", "foo.example.net", nil},
		{"quotation marks", `h; spf=fail reason="a \"b\"; dmarc=pass" smtp.mailfrom="x y; dkim=pass"@a.test; dmarc=fail`, "h", []authres.Result{
			{Method: "spf", Value: "fail", Reason: `a "b"; dmarc=pass`, Properties: []authres.Property{{"smtp.mailfrom", "x y; dkim=pass@a.test"}}}, {Method: "dmarc", Value: "fail"},
		}},
		{"comments", "h (; dkim=pass); spf=none (x\\); dkim=pass); DKIM=Fail header.b=AB==", "h", []authres.Result{{Method: "spf", Value: "none"}, {Method: "dkim", Value: "fail", Properties: []authres.Property{{"header.b", "AB=="}}}}},
		{"quoted host", `"mx.test" ; none`, "mx.test", nil},
		{"no host", "", "", nil},
		{"no host but a result", "; spf=pass", "", nil},
		{"two hosts", "a b; none", "", nil},
		{"nothing behind the host", "a", "a", nil},
	} {
		host, got, _ := authres.Parse(c.value)
		if host != c.host || c.want != nil && !cmp.Equal(got, c.want) {
			t.Errorf("%s: %q, %s", c.why, host, cmp.Diff(c.want, got))
		}
	}
}

// A field cannot make its reader work without end.
func TestMany(t *testing.T) {
	if _, got, err := authres.Parse("mx.test" + strings.Repeat("; spf=pass", 200)); len(got) != 100 || err == nil {
		t.Errorf("%d results, %v", len(got), err)
	}
	_, got, err := authres.Parse("mx.test; spf=pass" + strings.Repeat(" x.y=z", 200))
	if err != nil || len(got) != 1 || len(got[0].Properties) != 20 {
		t.Errorf("%d results, %v", len(got), err)
	}
}

func results() []authres.Result {
	return []authres.Result{
		{Method: "spf", Value: "pass", Properties: []authres.Property{{"smtp.mailfrom", "a@b.test"}, {"smtp.helo", ""}}},
		{Method: "dkim", Value: "fail", Reason: "body was changed", Properties: []authres.Property{{"header.d", "b.test"}, {"header.b", "Ab/+c"}}},
		{Method: "dmarc", Value: "none", Properties: []authres.Property{{"header.from", `"; x=y \`}}},
		{Method: "arc", Value: "pass", Properties: []authres.Property{{"smtp.remote-ip", "2001:db8::1"}}},
	}
}

func TestAppend(t *testing.T) {
	got := string(authres.Append(nil, "mx.test", results()))
	want := "mx.test;\r\n\tspf=pass smtp.mailfrom=a@b.test;\r\n\tdkim=fail reason=\"body was changed\" header.d=b.test header.b=Ab/+c;\r\n\t" +
		"dmarc=none header.from=\"\\\"; x=y \\\\\";\r\n\tarc=pass smtp.remote-ip=\"2001:db8::1\""
	if got != want {
		t.Errorf("%s", cmp.Diff(want, got))
	}
	if got := string(authres.Append(nil, "mx.test", nil)); got != "mx.test; none" {
		t.Error(got)
	}
	if got := string(authres.Append(nil, "h", []authres.Result{{Method: "x", Value: "y", Reason: "a\r\nB: c"}})); strings.Count(got, "\r\n") != 1 {
		t.Errorf("a field was smuggled in: %q", got)
	}
}

// What is written is read again as it was, whatever the values are.
func FuzzRoundTrip(f *testing.F) {
	f.Add("reason", "value", "h; none")
	f.Add(`"`, `\"; dmarc=pass`, "mx (((")
	f.Add("a@b", "(", `"x`)
	f.Fuzz(func(t *testing.T, reason, value, other string) {
		authres.Parse(other)
		want := []authres.Result{{Method: "spf", Value: "pass", Reason: plain(reason), Properties: []authres.Property{{"smtp.mailfrom", plain(value)}}}, {Method: "dkim", Value: "none"}}
		if value == "" {
			want[0].Properties = nil
		}
		host, got, err := authres.Parse(string(authres.Append(nil, "mx.test", []authres.Result{
			{Method: "spf", Value: "pass", Reason: reason, Properties: []authres.Property{{"smtp.mailfrom", value}}}, {Method: "dkim", Value: "none"},
		})))
		if err != nil || host != "mx.test" || !cmp.Equal(got, want) {
			t.Errorf("%v, %q, %s", err, host, cmp.Diff(want, got))
		}
	})
}

// plain is text as it can be written.
func plain(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c < ' ' || c >= 0x7f {
			b[i] = '?'
		}
	}
	return string(b)
}
