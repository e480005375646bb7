package search

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"tenma/relay/mailbox"
)

// folder has messages of the kinds that searches tell apart.
func folder() *memory {
	v := &memory{keywords: []string{"$Work", "$Home"}}
	m := v.add("From: Ann <ann@example.test>\nTo: \"Bob, B.\" <bob@example.test>\nSubject: =?utf-8?q?Caf=C3=A9?= tomorrow\nDate: Wed, 1 May 2024 00:30:00 +0200\nMessage-ID: <1@x>\n\nHello Bob\n")
	m.Flags = mailbox.Seen | 1<<5
	m = v.add("From: bob (Robert) @ example.test\nTo: ann@example.test\nCc: carol@example.test\nBcc: dave@example.test\nSubject: re: cafe\u0301\nIn-Reply-To: <1@x>\nX-Empty:\nX-Two: first\nX-Two: second\n\nStra=C3=9Fe\n")
	m.Flags, m.recent = mailbox.Seen|mailbox.Answered, true
	m = v.add("Subject: parts\nCc:\nContent-Type: multipart/mixed; boundary=b\n\npreamble words\n--b\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nStra=DFe in\n Z=FC=\nrich\n--b\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: base64\n\n" +
		base64.StdEncoding.EncodeToString([]byte("<p>ΣΊΣΥΦΟΣ Kyoto</p>")) + "\n--b\nContent-Type: application/pdf\n\nbinary words\n--b\nContent-Type: message/rfc822\n\nSubject: =?utf-8?q?f=C3=B6rwarded?=\n\ninner words\n--b--\n")
	m.Flags, m.recent = mailbox.Flagged|1<<6, true
	m = v.add("\nno header at all\n")
	m.Flags = mailbox.Deleted | mailbox.Draft
	return v
}

func TestSearch(t *testing.T) {
	v := folder()
	for _, c := range []struct{ args, want string }{
		{"ALL", "1 2 3 4"},
		{"1:2", "1 2"},
		{"1:4,2", "1 2 3 4"},
		{"3,1", "1 3"},
		{"*", "4"},
		{"*:3", "3 4"},
		{"3:99", "3 4"},
		{"99", ""},
		{"99:*", "4"},
		{"NOT 2", "1 3 4"},
		{"UID 13", "2"},
		{"UID 12:16", "2 3"},
		{"UID 1:4294967295", "1 2 3 4"},
		{"UID 100:*", "4"},
		{"UID 14", ""},
		{"UID *", "4"},
		{"UID 11,17:15", "1 3 4"},
		{"$", "2"},
		{"UID $ SEEN", "2"},
		{"SEEN", "1 2"},
		{"UNSEEN", "3 4"},
		{"DELETED DRAFT", "4"},
		{"ANSWERED", "2"},
		{"UNANSWERED UNFLAGGED UNDRAFT", "1"},
		{"KEYWORD $work", "1"},
		{"KEYWORD $Home", "3"},
		{"KEYWORD $none", ""},
		{"UNKEYWORD $Home", "1 2 4"},
		{"RECENT", "2 3"},
		{"NEW", "3"},
		{"OLD", "1 4"},
		{"MODSEQ 102", "3 4"},
		{"YOUNGER 9223372036854775807", "1 2 3 4"},
		{"OLDER 9223372036854775807", ""},
		{`MODSEQ "/flags/\\draft" all 103`, "4"},
		{"ON 2-May-2024", "2"},
		{"SINCE 2-May-2024 BEFORE 4-May-2024", "2 3"},
		{`SINCE "03-May-2024"`, "3 4"},
		{"SENTON 1-May-2024", "1"},
		{"SENTON 30-Apr-2024", ""},
		{"SENTBEFORE 2-May-2024", "1"},
		{"SENTSINCE 1-Jan-2000", "1"},
		{"LARGER 150", "1 2 3"},
		{"SMALLER 100", "4"},
		{"SMALLER 300 LARGER 100", "1 2"},
		{"LARGER 0", "1 2 3 4"},
		{"SMALLER 0", ""},
		{"FROM ann", "1"},
		{"FROM ANN@EXAMPLE", "1"},
		{"FROM bob@example.test", "2"},
		{"FROM robert", "2"},
		{"TO \"bob, b\"", "1"},
		{"CC carol", "2"},
		{"BCC dave", "2"},
		{`SUBJECT "café"`, "1 2"},
		{`SUBJECT "CAFE` + "\u0301" + `"`, "1 2"},
		{"SUBJECT cafe", "1 2"},
		{"SUBJECT tomorrow", "1"},
		{"HEADER Message-ID 1@x", "1"},
		{"HEADER in-reply-to 1@x", "2"},
		{`HEADER x-two "second"`, "2"},
		{"HEADER x-two second HEADER x-two first", "2"},
		{`HEADER X-Empty ""`, "2"},
		{`HEADER X-Two ""`, "2"},
		{`HEADER From ""`, "1 2"},
		{`HEADER Subject ""`, "1 2 3"},
		{`NOT HEADER Subject ""`, "4"},
		{`HEADER Cc ""`, "2 3"},
		{"HEADER X-None a", ""},
		{"BODY hello", "1"},
		{"BODY words", "3"},
		{"BODY preamble", ""},
		{"BODY binary", ""},
		{"BODY \"inner words\"", "3"},
		{"BODY ann@example.test", ""},
		{"TEXT ann@example.test", "1 2"},
		{`BODY "STRASSE"`, ""},
		{`BODY "straße"`, "3"},
		{`BODY "zürich"`, "3"},
		{`BODY "σίσυφος"`, "3"},
		{`BODY "Ｋｙｏｔｏ"`, "3"},
		{`TEXT "förwarded"`, "3"},
		{`BODY "FÖRWARDED"`, "3"},
		{"TEXT \"subject: parts\"", "3"},
		{`BODY ""`, "1 2 3 4"},
		{"TEXT \"header at\"", "4"},
		{"OR SEEN DELETED", "1 2 4"},
		{"OR SEEN LARGER 0", "1 2 3 4"},
		{"OR FROM ann BODY header", "1 4"},
		{"NOT (SEEN FROM ann)", "2 3 4"},
		{"NOT OR SEEN BODY words", "4"},
		{"(1:3 (NOT 2)) SEEN", "1"},
		{"OR (BODY hello) (BODY words) UNSEEN", "3"},
		{"1 BODY words", ""},
		{"OR 2 BODY hello", "1 2"},
		{"CHARSET UTF-8 SEEN", "1 2"},
		{"RETURN (MIN MAX) CHARSET us-ascii SEEN", "1 2"},
		{"RETURN () ALL", "1 2 3 4"},
		{"all  seen", "1 2"},
	} {
		if got := search(t, v, c.args); got != c.want {
			t.Errorf("%s: %q, want %q", c.args, got, c.want)
		}
	}
	// With the start of the digests only, answers are the same.
	for i := range v.list {
		d := &v.list[i].Digest
		d.From, d.To, d.Subject, d.MessageID, d.Whole = d.From[:min(len(d.From), 2)], "", "", "", false
	}
	for args, want := range map[string]string{"FROM ann": "1", "SUBJECT tomorrow": "1", "HEADER message-id 1@x": "1", "NOT TO ann": "1 3 4"} {
		if got := search(t, v, args); got != want {
			t.Errorf("%s without digests: %q, want %q", args, got, want)
		}
	}
}

// Messages are read only where nothing less tells.
func TestSteps(t *testing.T) {
	v := folder()
	for _, c := range []struct {
		args         string
		reads, opens int
	}{
		{"SEEN NOT 1", 0, 0},
		{"SEEN FROM ann", 2, 0},
		{"OR SEEN BODY words", 2, 2},
		{"DELETED BODY words", 1, 1},
		{"BODY words SUBJECT parts", 4, 1},
		{"LARGER 100000 BODY words", 4, 0},
		{"SEEN OR ALL BODY words", 0, 0},
	} {
		v.reads, v.opens = 0, 0
		search(t, v, c.args)
		if v.reads != c.reads || v.opens != c.opens {
			t.Errorf("%s: read %d records and %d messages, want %d and %d", c.args, v.reads, v.opens, c.reads, c.opens)
		}
	}
	v.list[2].gone = true
	if got := search(t, v, "BODY words"); got != "" {
		t.Errorf("found what is gone: %s", got)
	}
}

func TestParseErrors(t *testing.T) {
	for _, args := range []string{
		"", " ", "(", ")", "(ALL", "ALL)", "()", "NOT", "OR ALL", "OR", "NONE", "FROM", `FROM "a`, "HEADER a", "UID", "UID x", "0", "1:0", "1,,2", "1:", "+1", "4294967296",
		"ON", "ON 32-May-2024", "ON yesterday", "SENT 1-May-2024", "SAVED", "LARGER", "LARGER -1", "LARGER x", "MODSEQ", `MODSEQ "a" none 1`, "KEYWORD", "KEYWORD (a)",
		"RETURN ALL", "RETURN (", "RETURN (ALL", "RETURN (SOME) ALL", "RETURN (ALL)", "CHARSET", "CHARSET UTF-8", "ALL \r\nALL",
	} {
		if _, err := Parse(args); !errors.Is(err, ErrSyntax) {
			t.Errorf("%q: %v", args, err)
		}
	}
	if _, err := Parse("CHARSET KOI8-R ALL"); !errors.Is(err, ErrCharset) {
		t.Error(err)
	}
	for _, args := range []string{"", "ALL", "() UTF-8 ALL", "(DATE UTF-8 ALL", "(REVERSE) UTF-8 ALL", "(NAME) UTF-8 ALL", "(DATE) ALL", "(DATE) UTF-8", "(REVERSE REVERSE DATE) UTF-8 ALL", "(DATE)UTF-8 ALL"} {
		if _, err := ParseSort(args); err == nil || errors.Is(err, ErrTooLarge) {
			t.Errorf("SORT %q: %v", args, err)
		}
	}
	for _, args := range []string{"", "REFERENCES", "REFERENCES UTF-8", "REFS UTF-8 ALL", "REFERENCES KOI8-R ALL"} {
		if _, err := ParseThread(args); err == nil || errors.Is(err, ErrTooLarge) {
			t.Errorf("THREAD %q: %v", args, err)
		}
	}
}

func TestBounds(t *testing.T) {
	for name, args := range map[string]string{
		"brackets": strings.Repeat("(", 3000) + "ALL" + strings.Repeat(")", 3000),
		"nots":     strings.Repeat("NOT ", 3000) + "ALL",
		"ors":      strings.Repeat("OR ALL ", 3000) + "ALL",
		"keys":     strings.Repeat("SEEN ", 3000) + "ALL",
		"ranges":   strings.Repeat("1,", 20_000) + "1",
		"sets":     strings.Repeat("1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1 ", 600) + "ALL",
		"text":     "BODY " + strings.Repeat("a", 20_000),
		"texts":    strings.TrimSpace(many("BODY a%d ", 100)),
	} {
		if _, err := Parse(args); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := imap.SearchCriteria{}
	for range 3000 {
		c = imap.SearchCriteria{Not: []imap.SearchCriteria{c}}
	}
	if _, err := Compile(&c); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	c = imap.SearchCriteria{}
	for range 3000 {
		c.NotFlag = append(c.NotFlag, imap.FlagSeen)
	}
	if _, err := Compile(&c); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	// What people's programs could send passes.
	if _, err := Parse(strings.Repeat("OR (FROM a) ", 90) + "ALL"); err != nil {
		t.Error(err)
	}
}

func many(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func TestCompile(t *testing.T) {
	v := folder()
	day := time.Date(2024, 5, 2, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name string
		c    imap.SearchCriteria
		want string
	}{
		{"nothing", imap.SearchCriteria{}, "[1 2 3 4]"},
		{"sets", imap.SearchCriteria{SeqNum: []imap.SeqSet{{{Start: 2, Stop: 0}}}, UID: []imap.UIDSet{{{Start: 11, Stop: 15}}}}, "[2 3]"},
		{"saved", imap.SearchCriteria{UID: []imap.UIDSet{imap.SearchRes()}}, "[2]"},
		{"flags", imap.SearchCriteria{Flag: []imap.Flag{imap.FlagSeen, "$work"}, NotFlag: []imap.Flag{`\Recent`}}, "[1]"},
		{"dates", imap.SearchCriteria{Since: day, Before: day.AddDate(0, 0, 2), SentSince: time.Time{}}, "[2 3]"},
		{"sent", imap.SearchCriteria{SentSince: day.AddDate(0, 0, -1), SentBefore: day}, "[1]"},
		{"sizes", imap.SearchCriteria{Larger: 100, Smaller: 300}, "[1 2]"},
		{"texts", imap.SearchCriteria{Header: []imap.SearchCriteriaHeaderField{{Key: "Subject", Value: "parts"}}, Body: []string{"words"}, Text: []string{"parts"}}, "[3]"},
		{"modseq", imap.SearchCriteria{ModSeq: &imap.SearchCriteriaModSeq{ModSeq: 103}}, "[4]"},
		{"or, not", imap.SearchCriteria{Or: [][2]imap.SearchCriteria{{{Flag: []imap.Flag{imap.FlagSeen}}, {Flag: []imap.Flag{imap.FlagDeleted}}}}, Not: []imap.SearchCriteria{{SeqNum: []imap.SeqSet{imap.SeqSetNum(1)}}}}, "[2 4]"},
	} {
		q, err := Compile(&c.c)
		if err != nil {
			t.Fatal(err)
		}
		got, err := q.Run(context.Background(), v, imap.UIDSet{{Start: 13, Stop: 13}})
		if err != nil || fmt.Sprint(got) != c.want {
			t.Errorf("%s: %v, %v; want %s", c.name, got, err, c.want)
		}
	}
}

func TestCancel(t *testing.T) {
	v := &memory{}
	for range 5000 {
		v.add("Subject: a\n\nb\n")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, args := range []string{"SEEN", "FROM a", "1 BODY a"} {
		c, _ := Parse(args)
		if _, err := c.Query.Run(ctx, v, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", args, err)
		}
	}
	v = &memory{}
	for range 10 {
		v.add("Subject: a\n\nb\n")
	}
	ctx2, cancel2 := context.WithCancel(context.Background())
	v.opened = cancel2
	for _, args := range []string{"HEADER X-None a", "BODY a"} {
		c, _ := Parse(args)
		if _, err := c.Query.Run(ctx2, v, nil); !errors.Is(err, context.Canceled) || v.opens > 1 {
			t.Errorf("%s: %v after %d messages", args, err, v.opens)
		}
	}
	// In the middle of a long message too.
	v = &memory{}
	v.add("Subject: a\n\n" + strings.Repeat("b\n", 1<<20))
	ctx3, cancel3 := context.WithCancel(context.Background())
	reads := 0
	v.read = func() {
		if reads++; reads == 3 {
			cancel3()
		}
	}
	c, _ := Parse("BODY a")
	if _, err := c.Query.Run(ctx3, v, nil); !errors.Is(err, context.Canceled) || reads > 3 {
		t.Errorf("%v after %d reads", err, reads)
	}
	if got := search(t, &memory{}, "OR * UID *"); got != "" {
		t.Errorf("%s of nothing", got)
	}
	if _, err := Sort(ctx, v, []uint32{1}, []Key{{By: Date}}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestData(t *testing.T) {
	v := folder()
	found := []uint32{1, 2, 4}
	for _, c := range []struct {
		opts *imap.SearchOptions
		uid  bool
		want string
	}{
		{nil, false, "1:2,4 0 0 0 103"},
		{&imap.SearchOptions{}, false, "1:2,4 0 0 0 103"},
		{&imap.SearchOptions{ReturnAll: true}, true, "11,13,17 0 0 0 103"},
		{&imap.SearchOptions{ReturnMin: true}, false, " 1 0 0 100"},
		{&imap.SearchOptions{ReturnMax: true}, true, " 0 17 0 103"},
		{&imap.SearchOptions{ReturnMin: true, ReturnMax: true, ReturnCount: true}, true, " 11 17 3 103"},
	} {
		d := Data(v, found, c.uid, c.opts, true)
		if got := fmt.Sprint(d.All.String(), " ", d.Min, " ", d.Max, " ", d.Count, " ", d.ModSeq); got != c.want {
			t.Errorf("%+v: %s, want %s", c.opts, got, c.want)
		}
	}
	for i := range v.list {
		v.list[i].UID = uint32(i) + 20
	}
	if s := UIDs(v, []uint32{1, 2, 3, 4}); s.String() != "20:23" {
		t.Error(s)
	}
	if d := Data(v, nil, true, nil, true); d.All.String() != "" || d.ModSeq != 0 {
		t.Errorf("%+v", d)
	}
}

// A text that lies across the pieces in which a body is read, and in letters
// that are cut in two by them.
func TestStream(t *testing.T) {
	text := strings.Repeat("ÄÖÜ", 50) + "Nadel im Heuhaufen é" + strings.Repeat("xyz", 50)
	for size := 1; size < 40; size++ {
		s := stream{seeks: []seek{{text: fold(nil, []byte("nadel IM heu"))}, {text: fold(nil, []byte("É"))}, {text: []byte("not there")}}, found: make([]bool, 3), open: 3}
		for rest := []byte(text); len(rest) > 0; {
			n := min(size, len(rest))
			s.write(rest[:n:n])
			rest = rest[n:]
		}
		if !s.found[0] || !s.found[1] || s.found[2] || s.open != 1 {
			t.Errorf("in pieces of %d: %v", size, s.found)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`RETURN (MIN) CHARSET UTF-8 OR (SEEN 1:*) NOT HEADER "a" "b\"" UID 1,2:3 $`, `MODSEQ "/flags/\\draft" all 103 SENTON 1-May-2024`,
		`(REVERSE DATE SUBJECT) UTF-8 ALL`, `REFERENCES UTF-8 YOUNGER 100 BODY "é" TEXT x`,
	} {
		f.Add(s)
	}
	v := folder()
	f.Fuzz(func(t *testing.T, args string) {
		for _, parse := range []func(string) (*Command, error){Parse, ParseSort, ParseThread} {
			c, err := parse(args)
			if err != nil {
				if !errors.Is(err, ErrSyntax) && !errors.Is(err, ErrCharset) && !errors.Is(err, ErrTooLarge) {
					t.Fatal(err)
				}
				continue
			}
			found, err := c.Query.Run(context.Background(), v, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i, s := range found {
				if s < 1 || int(s) > v.Len() || i > 0 && s <= found[i-1] {
					t.Fatalf("%q: %v", args, found)
				}
			}
		}
	})
}
