package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tenma/relay/mailbox"
)

// boxes gives mailboxes of a store in memory.
func boxes(t *testing.T) func(account string) *mailbox.Mailbox {
	t.Helper()
	s, err := mailbox.New(mailbox.Config{Dir: "/boxes"}, mailbox.Deps{FS: vfs.NewMem(), MemTable: 1 << 20, Bubble: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, s.Close()); err != nil {
			t.Error(err)
		}
	})
	return func(account string) *mailbox.Mailbox {
		m, err := s.Open(account)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(m.Close)
		return m
	}
}

// list gives each message as text: time, flags, octets.
func list(t *testing.T, m *mailbox.Mailbox, folder string) (all []string) {
	t.Helper()
	v, err := m.Select(folder, true)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for seq := 1; seq <= v.Len(); seq++ {
		msg, err := v.Message(seq)
		if err != nil {
			t.Fatal(err)
		}
		c, err := v.Open(seq)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if _, err := c.WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		c.Close()
		names := v.Names(msg.Flags)
		slices.Sort(names)
		all = append(all, fmt.Sprintf("%s %v %q", msg.Date.UTC().Format(time.DateTime), names, b.String()))
	}
	return all
}

// fill puts messages of all kinds into two folders.
func fill(t *testing.T, m *mailbox.Mailbox) {
	t.Helper()
	date := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	if err := m.Create(t.Context(), "Projekte/Größe 1.0", mailbox.NoUse); err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		text  string
		flags []string
	}{
		{"Subject: 1\r\nMessage-ID: <1@x>\r\n\r\nFrom here\r\n>From there\r\n\r\nFrom a Tue Feb  3 04:05:06 2026\r\nend\r\n", []string{`\Seen`}},
		{"Subject: 2\r\nMessage-ID: <2@x>\r\n\r\n" + strings.Repeat("long ", 100_000) + "\r\n", []string{`\Answered`, `\Flagged`, `\Draft`, `\Deleted`, `\Seen`, "$Forwarded", "work"}},
		{"Subject: 3\r\nMessage-ID: <3@x>\r\nBcc: a\r\n", nil},
		{"Subject: 4\r\nMessage-ID: <4@x>\r\n\r\n\r\n\r\n", []string{"work", "home"}},
		{"From: x\r\nSubject: 5\r\n\r\nno id\r\n.\r\n\xff\x00\r\n", []string{"$Forwarded"}},
		{"\r\nonly a body\r\n", nil},
	} {
		for _, folder := range []string{"INBOX", "Projekte/Größe 1.0"} {
			if _, _, err := m.Append(t.Context(), folder, mailbox.NewMessage{Size: int64(len(c.text)), Body: strings.NewReader(c.text), Date: date.Add(time.Duration(i) * time.Hour), Flags: c.flags}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// What goes out as mbox comes back the same, once.
func TestMboxThereAndBack(t *testing.T) {
	open := boxes(t)
	from, to := open("from@b.test"), open("to@b.test")
	fill(t, from)
	var out bytes.Buffer
	if r, err := ExportMbox(t.Context(), from, "INBOX", &out, nil); err != nil || r.Done != 6 {
		t.Fatal(r, err)
	}
	for _, text := range []string{out.String(), strings.ReplaceAll(out.String(), "\n", "\r\n")} {
		r, err := ImportMbox(t.Context(), to, "Old", "old.mbox", strings.NewReader(text), int64(len(text)), Options{SkipDuplicates: true})
		if err != nil || r.Done+r.Skipped != 6 {
			t.Fatal(r, err)
		}
	}
	want, got := list(t, from, "INBOX"), list(t, to, "Old")
	if len(got) != 8 || !slices.Equal(got[:6], want) { // two have no Message-ID
		t.Errorf("%d came back", len(got))
		for i := range min(len(got), 6) {
			if got[i] != want[i] {
				t.Errorf("%.300s\ninstead of\n%.300s", got[i], want[i])
			}
		}
	}
}

func TestMaildirThereAndBack(t *testing.T) {
	open := boxes(t)
	from, to := open("from@b.test"), open("to@b.test")
	fill(t, from)
	dir := filepath.Join(t.TempDir(), "Maildir")
	for _, want := range []Result{{Done: 12}, {Skipped: 12}} {
		if r, err := ExportMaildir(t.Context(), from, dir, nil); err != nil || r != want {
			t.Fatal(r, err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, "tmp", "*")); len(left) > 0 || err != nil {
		t.Error(left, err)
	}
	for _, want := range []Result{{Done: 12}, {Done: 4, Skipped: 8}} {
		last := Result{}
		r, err := ImportMaildir(t.Context(), to, os.DirFS(dir), Options{SkipDuplicates: true, Progress: func(_ string, r Result) { last = r }})
		if err != nil || r != want || last != r {
			t.Fatal(r, err)
		}
	}
	for _, folder := range []string{"INBOX", "Projekte/Größe 1.0"} {
		want, got := list(t, from, folder), list(t, to, folder)
		if len(got) != 8 || !slices.Equal(got[:6], want) {
			t.Errorf("%s: %d came back", folder, len(got))
		}
	}
}

// Nothing is written through links that lead out of the directory.
func TestExportStaysInside(t *testing.T) {
	from := boxes(t)("from@b.test")
	fill(t, from)
	for _, name := range []string{"cur", "tmp", keywordFile} {
		dir, outside := filepath.Join(t.TempDir(), "Maildir"), filepath.Join(t.TempDir(), "outside")
		err := os.Mkdir(dir, 0o700)
		if name == keywordFile {
			err = errors.Join(err, os.WriteFile(outside, []byte("precious"), 0o600))
		} else {
			err = errors.Join(err, os.Mkdir(outside, 0o700))
		}
		if err := errors.Join(err, os.Symlink(outside, filepath.Join(dir, name))); err != nil {
			t.Fatal(err)
		}
		if _, err := ExportMaildir(t.Context(), from, dir, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
		if name == keywordFile {
			if text, err := os.ReadFile(outside); string(text) != "precious" {
				t.Errorf("%q, %v", text, err)
			}
		} else if there, err := os.ReadDir(outside); len(there) > 0 || err != nil {
			t.Errorf("%s: %v, %v", name, there, err)
		}
	}
}

// A Maildir of another program.
func TestForeignMaildir(t *testing.T) {
	m := boxes(t)("to@b.test")
	at := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	text := &fstest.MapFile{Data: []byte("Subject: x\n\ny\n"), ModTime: at}
	dir := fstest.MapFS{
		"cur/1.x:2,FSab": text, "new/2.x": text, "cur/3.x": text, "cur/4.x,S=10;2,R": text, "tmp/5.x": text, "cur/.hidden": text,
		"dovecot-keywords":         {Data: []byte("0 work\n1 bad(word\nx y\n99 z\n")},
		".Sent.2020/cur/1.x:2,S":   text,
		".&AOQ-/new/1.x":           text,
		".&bad/new/1.x":            text,
		".notes/x":                 text,
		"sub/cur/1":                text,
		"cur/large.x:2,":           {Data: bytes.Repeat([]byte("x\n"), 1000), ModTime: at.Add(time.Hour)},
		"cur/directory.x:2,/child": text,
	}
	var problems []error
	r, err := ImportMaildir(t.Context(), m, dir, Options{MaxMessage: 1000, Problem: func(err error) { problems = append(problems, err) }})
	if err != nil || r.Done != 6 || r.Failed != 1 || len(problems) != 2 || !strings.Contains(fmt.Sprint(problems), "cur/large.x:2,: ") {
		t.Fatal(r, err, problems)
	}
	const body = ` "Subject: x\r\n\r\ny\r\n"`
	if got, want := list(t, m, "INBOX"), []string{
		`2020-01-02 03:04:05 [\Flagged \Seen work]` + body, `2020-01-02 03:04:05 []` + body, `2020-01-02 03:04:05 [\Answered]` + body, `2020-01-02 03:04:05 []` + body,
	}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if len(list(t, m, "Sent/2020")) != 1 || len(list(t, m, "ä")) != 1 {
		t.Error("folders are missing")
	}
	if _, err := ImportMaildir(t.Context(), m, fstest.MapFS{"x": text}, Options{}); err == nil {
		t.Error("anything is a Maildir")
	}
}

// An mbox of other programs: quoting of mboxo, forgotten quotes, the note of UW
// IMAP, dates of all kinds, a file that breaks off.
func TestForeignMbox(t *testing.T) {
	m := boxes(t)("to@b.test")
	const text = "From MAILER-DAEMON Mon Jan  6 00:00:00 2020\nSubject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1 2\n\nnote\n\n" +
		"From a b@c Mon Jan  6 01:02:03 2020 +0100\nStatus: RO\nX-Status: A\nX-Keywords:  work (bad\nSubject: 1\n\n>From quoted\n\nFrom here it goes on\n\n" +
		"From x Mon Jan  6 01:02:03 CET 2020\r\nSubject: 2\r\n\r\n\r\n\r\n" +
		"From x Mon Jan 6 01:02:03 2020\nSubject: 3\n\nit breaks o"
	r, err := ImportMbox(t.Context(), m, "In/Old", "x", strings.NewReader(text), int64(len(text)), Options{})
	if err != nil || r.Done != 3 {
		t.Fatal(r, err)
	}
	for i, want := range []string{
		`2020-01-06 00:02:03 [\Answered \Seen work] "Subject: 1\r\n\r\nFrom quoted\r\n\r\nFrom here it goes on\r\n"`,
		`2020-01-06 01:02:03 [] "Subject: 2\r\n\r\n\r\n"`,
		`2020-01-06 01:02:03 [] "Subject: 3\r\n\r\nit breaks o\r\n"`,
	} {
		if got := list(t, m, "In/Old"); got[i] != want {
			t.Errorf("%s\ninstead of\n%s", got[i], want)
		}
	}
	if _, err := ImportMbox(t.Context(), m, "X", "x", strings.NewReader("Subject: x\n\n"), 12, Options{}); err == nil {
		t.Error("anything is an mbox")
	}
}

func FuzzMbox(f *testing.F) {
	f.Add([]byte("From x Mon Jan  6 01:02:03 2020\nStatus: RO\n\n>From\n\nFrom y Mon Jan  6 01:02:03 2020 +0100\r\n\r\n"))
	f.Add([]byte("From \n>>>From \n\n\n\n"))
	f.Add([]byte("\n\nFrom x\r"))
	f.Fuzz(func(t *testing.T, text []byte) {
		at := int64(0)
		_ = scanMbox(bytes.NewReader(text), int64(len(text)), func(p part) error {
			if p.start < at || p.end < p.start || p.end > int64(len(text)) {
				t.Fatalf("from %d to %d of %d, the one before ended at %d", p.start, p.end, len(text), at)
			}
			at = p.end
			var m message
			if _, err := p.state(&m); err != nil {
				t.Fatal(err)
			}
			r, err := p.open()
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(newCRLF(r))
			if err != nil || int64(len(got)) > 2*(p.end-p.start) {
				t.Fatal(len(got), err)
			}
			for i, c := range got {
				if c == '\n' && (i == 0 || got[i-1] != '\r') {
					t.Fatalf("%q", got)
				}
			}
			return nil
		})
	})
}

func FuzzMaildirNames(f *testing.F) {
	f.Add("Sent.2020", "x:2,FRSa")
	f.Add("&AOQ-&AC4-b", "2,")
	f.Fuzz(func(t *testing.T, dir, name string) {
		_ = maildirFlags(name, map[byte]string{'a': "work"})
		folder, ok := folderName(dir)
		if !ok {
			return
		}
		if again, ok := folderName(folderDir(folder)[1:]); !ok || again != folder {
			t.Errorf("%q is %q, which comes back as %q", dir, folder, again)
		}
	})
}
