package ingress

import "testing"

func TestBehind(t *testing.T) {
	for _, x := range []struct{ line, keyword, rest string }{
		{"MAIL FROM:<a@b.test> SIZE=1", "FROM:", "<a@b.test> SIZE=1"},
		{"mail from: <a@b.test>", "FROM:", " <a@b.test>"},
		{"RCPT x:TO:<from:to:x@b.test>", "TO:", "<from:to:x@b.test>"},
		{"RCPT \u0131\u0131\u0131To:<a@b.test>", "TO:", "<a@b.test>"}, // capitals of other lengths
		{"RCPT TO", "TO:", "none"},
		{"o:", "TO:", "none"},
		{"", "TO:", "none"},
	} {
		rest, ok := behind(x.line, x.keyword)
		if !ok {
			rest = "none"
		}
		if rest != x.rest {
			t.Errorf("%q: %q, not %q", x.line, rest, x.rest)
		}
	}
}
