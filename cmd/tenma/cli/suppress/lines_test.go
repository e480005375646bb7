package suppress

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// read gives what is read of a text, a line an entry or error.
func read(text string) (got []string) {
	in := newLines(strings.NewReader(text))
	for {
		e, line, err := in.next()
		var bad *errLine
		switch {
		case errors.Is(err, io.EOF):
			return got
		case errors.As(err, &bad):
			got = append(got, bad.Error())
		case err != nil:
			return append(got, "failed: "+err.Error())
		default:
			r := record(&e)
			r[0] = fmt.Sprint(line, " ", r[0])
			got = append(got, strings.TrimRight(strings.Join(r, "|"), "|"))
		}
	}
}

func TestLines(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	for _, c := range []struct {
		what, text string
		want       []string
	}{
		{"nothing", "", nil},
		{"addresses", "# mine\n\na@a.test\r\n<b@a.test>\na.test\nwhat\n@b.test", []string{"3 a@a.test", "4 b@a.test", "5 a.test", `line 6: "what" is neither an address nor a domain`, "7 @b.test"}},
		{"rows without a heading", "a@a.test,Bob,x\n\"b@a.test\",,\n", []string{"1 a@a.test", "2 b@a.test"}},
		{"our own CSV", strings.Join(columns(), ",") + "\na@a.test,shop,spring,complaint,2026-01-31T12:00:00Z,2027-01-01,r,\"no, \"\"thanks\"\"\",m,me,p,true\n", []string{
			`2 a@a.test|shop|spring|complaint|2026-01-31T12:00:00Z|2027-01-01T00:00:00Z|r|no, "thanks"|m|me|p|true`,
		}},
		{"with a mark, semicolons, other names", "\xef\xbb\xbfEmail Address;Created At;Type\nA@a.test;2026-01-31 12:00:00;SpamComplaint\nb@a.test;1767182400;Bounced\nc@a.test;1767182400000;strange\n", []string{
			"2 A@a.test|||complaint|2026-01-31T12:00:00Z|||SpamComplaint", "3 b@a.test|||hard_bounce|2025-12-31T12:00:00Z|||Bounced", "4 c@a.test|||import|2025-12-31T12:00:00Z|||strange",
		}},
		{"tabs, short and long rows", "recipient\tdescription\na@a.test\nb@a.test\tx\ty\n\t\n", []string{"2 a@a.test", "3 b@a.test|||||||x"}},
		{"JSON", `{"address":"a@a.test","reason":"unsubscribe","held":true}` + "\n" + `{"email":"b@a.test","created":1767182400,"status":"550","tags":["x"]}` + "\n{\n[]\n{}\n" + `{"address":"c@a.test","detail":"one\ntwo"}`, []string{
			"1 a@a.test|||unsubscribe||||||||true", "2 b@a.test||||2025-12-31T12:00:00Z", "line 3: it is no JSON object", "line 4: it is no JSON object", `line 5: "" is neither an address nor a domain`, "6 c@a.test|||||||one\ntwo",
		}},
		{"a bad time", "email,created\na@a.test,soon\n", []string{`line 2: "soon" is no time such as 2026-01-31T12:00:00Z`}},
		{"a line without end", "a@a.test\n" + long + "\nb@a.test\n" + long, []string{"1 a@a.test", "line 2: it is longer than 65536 octets", "3 b@a.test", "line 4: it is longer than 65536 octets"}},
		{"octets", "a@a.test\n\x00\xff@\n", []string{"1 a@a.test", `line 2: "\x00\xff@" is neither an address nor a domain`}},
	} {
		if d := cmp.Diff(c.want, read(c.text)); d != "" {
			t.Errorf("%s: %s", c.what, d)
		}
	}
}

func TestReason(t *testing.T) {
	for word, want := range map[string]string{
		"Bounce": "hard_bounce", "invalid_email": "hard_bounce", "Spam Complaint": "complaint", "unsubscribed": "unsubscribe", "opt-out": "unsubscribe", "ManualSuppression": "manual", "7": "import",
	} {
		if got := reason(word); got != want {
			t.Errorf("%s: %s, want %s", word, got, want)
		}
	}
}

func TestParseTime(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	for text, want := range map[string]time.Time{
		"2h": now.Add(-2 * time.Hour), "3d": now.Add(-72 * time.Hour), "2026-01-31": time.Date(2026, 1, 31, 0, 0, 0, 0, time.Local),
		"2026-01-31 12:30": time.Date(2026, 1, 31, 12, 30, 0, 0, time.Local), "2026-01-31T12:00:00Z": time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC),
	} {
		if got, err := parseTime(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "yesterday", "-2h", "31.1.2026"} {
		if got, err := parseTime(text, now); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// Whatever a file has, each of its lines is an entry, an error, or passed over.
func FuzzLines(f *testing.F) {
	for _, s := range []string{"a@a.test\n", "email,type\na@a.test,Bounce\n", `{"email":"a@a.test"}`, "email;x\n\"a@a.test;\"\n", "\xef\xbb\xbf{}\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := read(text)
		if n := strings.Count(text, "\n") + 1; len(got) > n {
			t.Errorf("%d entries of %d lines", len(got), n)
		}
		for _, g := range got {
			if strings.HasPrefix(g, "failed") {
				t.Errorf("%s", g)
			}
		}
	})
}
