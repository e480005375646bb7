package classify

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// testdata/replies.txt has a line for each way of saying something.
func TestReplies(t *testing.T) {
	text, err := os.ReadFile("testdata/replies.txt")
	if err != nil {
		t.Fatal(err)
	}
	c, n := New(), 0
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		n++
		parts := strings.Split(line, " | ")
		if len(parts) != 3 {
			t.Fatalf("%q has %d parts", line, len(parts))
		}
		d := c.Outcome(outcome(parts[0], parts[1]))
		if got := d.Class.String() + " " + d.Severity.String(); got != parts[2] {
			t.Errorf("%s: %s by rule %q", line, got, d.Rule)
		}
	}
	if n < 100 {
		t.Errorf("only %d replies", n)
	}
}

// Beside what must be hard stands what must not: half of its words are the same.
func TestNeverHard(t *testing.T) {
	text, err := os.ReadFile("testdata/never-hard.txt")
	if err != nil {
		t.Fatal(err)
	}
	c, n := New(), 0
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		n++
		if d := c.Outcome(outcome("RCPT", line)); d.Severity == mail.Hard {
			t.Errorf("%s: %s by rule %q", line, d.Class, d.Rule)
		}
	}
	if n < 40 {
		t.Errorf("%d replies", n)
	}
}

// outcome makes one of "OURS DNS" and "550 5.1.1 text".
func outcome(command, text string) *mail.Outcome {
	o := &mail.Outcome{Host: "mx.test", Command: strings.Trim(command, "-")}
	if rest, ok := strings.CutPrefix(command, "OURS "); ok {
		o.Host, o.Command = "", rest
	}
	if code, err := strconv.Atoi(text[:min(3, len(text))]); err == nil {
		o.Reply.Code, text = code, text[3:]
	}
	o.Reply.Status, o.Reply.Text, _ = smtp.ParseStatus(strings.TrimLeft(text, "- "))
	return o
}

// A severity of hard puts addresses on lists of those that are never written to
// again, so what cannot be meant that way must not come out as hard.
func TestHardIsBounded(t *testing.T) {
	c := New()
	unknown := "user unknown"
	for name, tc := range map[string]struct {
		r    Reply
		want mail.Severity
	}{
		"to RCPT":                        {Reply{Code: 550, Text: unknown, Command: "RCPT"}, mail.Hard},
		"temporary":                      {Reply{Code: 450, Text: unknown, Command: "RCPT"}, mail.Soft},
		"temporary by its status":        {Reply{Code: 550, Status: smtp.Status{4, 1, 1}, Text: unknown, Command: "RCPT"}, mail.Soft},
		"temporary, again and again":     {Reply{Code: 450, Status: smtp.Status{4, 1, 1}, Text: unknown, Command: "RCPT", Final: true}, mail.Hard},
		"other things again and again":   {Reply{Code: 450, Status: smtp.Status{4, 4, 3}, Text: "host unknown", Command: "RCPT", Final: true}, mail.Soft},
		"before there was a recipient":   {Reply{Code: 550, Text: "no such user", Command: "MAIL"}, mail.Block},
		"a host that never takes mail":   {Reply{Code: 521, Text: "no mail here", Command: "CONNECT"}, mail.Hard},
		"after the recipient was taken":  {Reply{Code: 550, Text: unknown, Command: "."}, mail.Soft},
		"the message has nowhere to go":  {Reply{Code: 554, Status: smtp.Status{5, 5, 1}, Text: "no valid recipients", Command: "DATA"}, mail.Soft},
		"late, but with a clear status":  {Reply{Code: 550, Status: smtp.Status{5, 1, 1}, Text: unknown, Command: "."}, mail.Hard},
		"somebody told somebody":         {Reply{Code: 550, Text: unknown}, mail.Soft},
		"the reporter's own people":      {Reply{Text: "user not listed in directory"}, mail.Hard},
		"with the status of an address":  {Reply{Code: 550, Status: smtp.Status{5, 1, 1}, Text: unknown}, mail.Hard},
		"no words, status of an address": {Reply{Code: 550, Status: smtp.Status{5, 1, 1}}, mail.Hard},
	} {
		if d := c.Classify(tc.r); d.Severity != tc.want {
			t.Errorf("%s: %s by rule %q", name, d.Severity, d.Rule)
		}
	}
}

// Notes count where there is no reply, and only then.
func TestNotes(t *testing.T) {
	c := New()
	notes := "the mailbox is full"
	if d := c.Classify(Reply{Status: smtp.Status{5, 0, 0}, Notes: notes}); d.Class != mail.QuotaIssues {
		t.Errorf("without a reply: %s", d.Class)
	}
	footer := "this mail was scanned for viruses" // stands below any report of that host
	if d := c.Classify(Reply{Status: smtp.Status{5, 1, 1}, Notes: footer}); d.Class != mail.InvalidRecipient {
		t.Errorf("beside a clear status: %s", d.Class)
	}
	if d := c.Classify(Reply{Text: "Diagnostic -1 (Unknown)", Notes: notes}); d.Class != mail.QuotaIssues {
		t.Errorf("beside vague words: %s", d.Class)
	}
	if d := c.Classify(Reply{Code: 554, Text: "transaction failed", Command: ".", Notes: notes}); d.Class != mail.PolicyRelated {
		t.Errorf("beside a reply: %s", d.Class)
	}
}

func TestWaitOfReply(t *testing.T) {
	c := New()
	if d := c.Classify(Reply{Code: 451, Text: "greylisted for 5 minutes"}); d.Wait != 5*time.Minute {
		t.Errorf("wait %v", d.Wait)
	}
	if d := c.Classify(Reply{Code: 550, Text: "you are blocked for 5 minutes"}); d.Wait != 0 {
		t.Errorf("wait %v after a permanent reply", d.Wait)
	}
}

func TestPhrases(t *testing.T) {
	for _, tc := range []struct {
		phrase, text string
		want         bool
	}{
		{"quota exceed", "550 5.2.2 Quota\r\n exceeded", true},
		{"quota exceed", "exceeded quota", false},
		{"able", "unavailable", false},
		{"able", "if able", true},
		{"user * unknown", "user <a@b.test> unknown", true},
		{"user * unknown", "user " + strings.Repeat("x ", maxGap) + "unknown", false},
		{"user * unknown", "user one, user two unknown", true},
		{"full", "full@b.test is fine", false}, // an address is no word
		{"@ unknown", "<a@b.test>, c@d.test unknown", true},
		{"spamhaus.org", "see https://www.spamhaus.org/x@y", true}, // an address in a URL is none
		{"haus.org", "see https://www.spamhaus.org/x", false},
		{"isn't", "it isn\u2019t", true},
		{"of mail", "too much of 550-5.7.1 mail", true},
		{"^: unknown", "550 : unknown", true},
		{"^: unknown", "550 a: unknown", false},
		{"いっぱい", "メールボックスがいっぱいです", true},
		{"не существует", "Ящик НЕ СУЩЕСТВУЕТ", true},
	} {
		p, text := parsePhrase(tc.phrase), plainText(tc.text)
		if got := p.in(text, headsOf(text)); got != tc.want {
			t.Errorf("%q in %q: %v", tc.phrase, tc.text, got)
		}
	}
}

func TestLoad(t *testing.T) {
	own := `
without = ["greylisted"]
[[rule]]
name = "ours"
class = "SpamRelated"
severity = "admin"
action = "slow down"
text = ["quota"]
code = ["55x"]
status = ["5.2.x"]
command = ["RCPT"]
from = "remote"
`
	c, err := Load(own)
	if err != nil {
		t.Fatal(err)
	}
	r := Reply{Code: 552, Status: smtp.Status{5, 2, 2}, Text: "over quota", Command: "RCPT"}
	want := mail.Diagnosis{Class: mail.SpamRelated, Severity: mail.Admin, Remedy: mail.SlowDown, Rule: "ours"}
	if d := c.Classify(r); d != want {
		t.Errorf("%+v", d)
	}
	for name, other := range map[string]Reply{
		"text":    {Code: 552, Status: r.Status, Text: "mailbox full", Command: "RCPT"},
		"code":    {Code: 542, Status: r.Status, Text: r.Text, Command: "RCPT"},
		"status":  {Code: 552, Status: smtp.Status{5, 3, 2}, Text: r.Text, Command: "RCPT"},
		"command": {Code: 552, Status: r.Status, Text: r.Text, Command: "DATA"},
		"from":    {Code: 552, Status: r.Status, Text: r.Text, Command: "RCPT", Ours: true},
	} {
		if d := c.Classify(other); d.Rule == "ours" {
			t.Errorf("%s does not hold, and the rule fits", name)
		}
	}
	if d := c.Classify(Reply{Code: 450, Text: "greylisted"}); d.Rule == "greylisted" || d.Class != mail.TransientFailure {
		t.Errorf("without: %+v", d)
	}
}

// A phrase stands for as many as its words in braces make it: those of the site and
// those of the program.
func TestWords(t *testing.T) {
	const rule = "[[rule]]\nname = \"ours\"\nclass = \"BadDomain\"\nseverity = \"soft\"\naction = \"retry\"\n"
	c, err := Load("[words]\npigeon = [\"dove\", \"\", \"rock dove\"]\n" + rule + "text = [\"no {pigeon} loft\", \"{mailbox} flew\"]\nnot = [\"white {pigeon}\"]\n")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		"no dove loft": true, "no rock dove loft": true, "no loft": true, "mail box flew": true,
		"no raven loft": false, "dove loft": false, "raven flew": false, "no loft for a white dove": false,
	} {
		if d := c.Classify(Reply{Code: 450, Text: text}); (d.Rule == "ours") != want {
			t.Errorf("%q: %+v", text, d)
		}
	}
	c, err = Load("[words]\nmailbox = [\"pigeonhole\"]\n" + rule + "text = [\"odd {mailbox}\"]\n")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{"odd pigeonhole": "ours", "odd account": "code-temporary", "undefined person": "unknown-user"} {
		if d := c.Classify(Reply{Code: 450, Text: text}); d.Rule != want {
			t.Errorf("with words of the site's own, %q: %+v", text, d)
		}
	}
	ten := "[words]\nw = [" + strings.Repeat("\"w\",", 10) + "]\n" + rule
	if _, err := Load(ten + "text = [\"{w}{w}{w}\"]"); err != nil {
		t.Error(err)
	}
	for text, want := range map[string]string{
		"text = [\"{raven}\"]":      `there are no [words] "raven"`,
		"text = [\"{w\"]":           `there are no [words] "w"`,
		"text = [\"{w}{w}{w}{w}\"]": "more than 1000",
		"text = [" + strings.Repeat("\"{w}{w}{w}\",", 101) + "]": "at most 100000 phrases",
	} {
		if _, err := Load(ten + text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %s", text, err, want)
		}
	}
}

func TestLoadErrors(t *testing.T) {
	head := "[[rule]]\nname = \"x\"\nclass = \"SpamBlock\"\nseverity = \"soft\"\naction = \"retry\"\n"
	for text, want := range map[string]string{
		"without = [\"no such rule\"]":           `there is no rule "no such rule"`,
		"[[rule]]\nclass = \"x\"":                "needs a name",
		head + head:                              "a name of its own",
		head + "texts = []":                      `line 6, column 1: there is no key "rule.texts"`,
		head + "text = 5":                        "line 6",
		head + "text = [\" * \"]":                `the phrase " * " is empty`,
		head + "code = [\"5\"]":                  "no reply code",
		head + "status = [\"5.1\"]":              "no status",
		head + "status = [\"3.1.1\"]":            "no status",
		head + "from = \"them\"":                 `"remote" or "ours"`,
		head + "not = [\"a\"]":                   "not needs text",
		head + "vague = true":                    "vague needs text",
		head + "wordless = true\ntext = [\"a\"]": "wordless goes without text",
		"[[rule]]\nname = \"x\"\nclass = \"no\"": `there is no class "no"`,
		strings.Replace(head, "soft", "weak", 1): `there is no severity "weak"`,
		strings.Replace(head, "retry", "run", 1): `there is no action "run"`,
		"[[rule":                                 "line 1",
		strings.Repeat("#", MaxFile+1):           "at most",
	} {
		if _, err := Load(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %s", text, err, want)
		}
	}
}

func FuzzClassify(f *testing.F) {
	f.Add(550, "user <a@b.test> unknown", "RCPT", "")
	f.Add(0, "", "", "mailbox\xff full \u3044\u3063\u3071\u3044")
	f.Add(451, "@@@ a@ @b <>@<> in 5m", ".", "*")
	c := New()
	f.Fuzz(func(t *testing.T, code int, text, command, notes string) {
		r := Reply{Code: code, Text: text, Command: command, Notes: notes}
		d := c.Classify(r)
		if d != c.Classify(r) {
			t.Error("not the same twice")
		}
		if d.Severity == mail.Hard && code/100 == 4 {
			t.Errorf("a temporary reply is hard: %+v", d)
		}
	})
}

// A file of rules that loads judges anything; one that does not says why.
func FuzzLoad(f *testing.F) {
	f.Add("without = [\"greylisted\"]\n[[rule]]\nname = \"a\"\nclass = \"QuotaIssues\"\nseverity = \"soft\"\naction = \"retry\"\ntext = [\"^no * room\", \"@\"]\nnot = [\"x\"]\nstatus = [\"x.2.x\"]\ncode = [\"45x\"]\n")
	f.Add("[[rule]]\nname = \"b\"\nclass = \"BadDomain\"\nseverity = \"hard\"\naction = \"bounce\"\nwordless = true\nfrom = \"ours\"\n")
	f.Add("[words]\nw = [\"\", \"a\"]\n[[rule]]\nname = \"c\"\nclass = \"SpamBlock\"\nseverity = \"block\"\naction = \"reroute\"\ntext = [\"no {w} {mailbox}\", \"{w}{w}\"]\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Load(text)
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without words")
			}
			return
		}
		for _, r := range []Reply{{}, {Code: 450, Text: "no room @ a@b.test"}, {Code: 550, Status: smtp.Status{5, 2, 2}, Text: strings.Repeat("no ", 100)}} {
			if d := c.Classify(r); d.Severity == mail.Hard && r.Code == 450 {
				t.Errorf("a temporary reply is hard: %+v", d)
			}
		}
	})
}

func BenchmarkClassify(b *testing.B) {
	c := New()
	o := outcome("RCPT", "451 4.7.1 <somebody@example.test>: Recipient address rejected: no words that anybody knows, come back in 300 seconds")
	for name, forget := range map[string]bool{"known": false, "new": true} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if forget {
					c.memo.known = nil
				}
				c.Outcome(o)
			}
		})
	}
}

// What is remembered is bounded, whatever remotes write.
func TestMemoBounded(t *testing.T) {
	c := New()
	for i := range 2*maxMemo + 10 {
		c.Classify(Reply{Code: 450, Text: "ticket " + strconv.Itoa(i+1000)})
	}
	if n := len(c.memo.known); n == 0 || n > maxMemo {
		t.Errorf("%d remembered", n)
	}
	before := len(c.memo.known)
	c.Classify(Reply{Code: 450, Text: strings.Repeat("long ", maxMemoText)})
	if len(c.memo.known) != before {
		t.Error("a long text is remembered")
	}
}
