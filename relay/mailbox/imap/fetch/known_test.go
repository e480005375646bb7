package fetch_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tenma/relay/mailbox/store/digest"
	"tenma/relay/wire/mime"
)

// Items that can be told of what is kept, one by one, so that none makes another
// read the message. Names of fields are those that mail programs ask for, and some
// that nobody does.
var keepable = []string{
	"ENVELOPE", "BODYSTRUCTURE", "BODY", "(ENVELOPE BODYSTRUCTURE BODY[HEADER])",
	"BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To)]",
	"BODY[HEADER.FIELDS (DATE FROM SENDER SUBJECT TO CC MESSAGE-ID REFERENCES CONTENT-TYPE CONTENT-DESCRIPTION IN-REPLY-TO REPLY-TO LINES LIST-POST X-LABEL)]",
	"BODY[HEADER.FIELDS (date subject from content-type to cc reply-to message-id references in-reply-to list-unsubscribe x-k9mail-identity chat-version)]<3.200>",
	"BODY[HEADER.FIELDS (Received DKIM-Signature x-tuid X-Mailer)]", "BODY[HEADER.FIELDS (Return-Path Delivered-To Content-Transfer-Encoding Mime-Version)]",
	"BODY[HEADER.FIELDS (nothing-such)]", `BODY[HEADER.FIELDS ("x y" list-id Subject)]`, "BODY[HEADER.FIELDS.NOT (Received)]",
	"BODY[1]", "BODY[1.MIME]", "BODY[2]", "BODY[2.HEADER]", "BODY[2.1.MIME]", "BODY[TEXT]", "BODY[3.HEADER.FIELDS (Subject)]", "BINARY.SIZE[1]",
}

// stored is a message in the form in which it is kept.
func stored(msg []byte) []byte {
	msg = bytes.ReplaceAll(bytes.ReplaceAll(msg, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
	if len(msg) > 0 && !bytes.HasSuffix(msg, []byte("\r\n")) {
		msg = append(msg, "\r\n"...)
	}
	return msg
}

const received = "Return-Path: <bob@far.test>\r\nDelivered-To: ann@our.test\r\n"

// same compares what is shown of a message by what is kept of it with what the message
// itself shows, and counts what was shown without reading it.
func same(t *testing.T, msg []byte, prefix string) (kept int) {
	t.Helper()
	b := mime.NewBuilder()
	for rest := msg; len(rest) > 0; {
		n := min(len(rest), 1+len(rest)/3)
		_, _ = b.Write(rest[:n])
		rest = rest[n:]
	}
	tree, ok := b.Tree()
	if !ok {
		tree = nil
	}
	d := digest.Make(msg[:min(len(msg), 256<<10)], tree)
	d = digest.Decode(d.Encode(), []byte(prefix))
	whole := append([]byte(prefix), msg...)
	for _, what := range keepable {
		var got, want bytes.Buffer
		src := &counting{Reader: bytes.NewReader(whole)}
		if err := showKnown(&d, src, &got, what); err != nil {
			t.Fatal(err)
		}
		if err := show(bytes.NewReader(whole), &want, what); err != nil {
			t.Fatal(err)
		}
		if got.String() != want.String() {
			t.Fatalf("%s of %.3000q\nkept: %.3000s\nreal: %.3000s", what, whole, got.Bytes(), want.Bytes())
		}
		if src.read == 0 {
			kept++
		}
	}
	return kept
}

type counting struct {
	*bytes.Reader
	read int
}

func (c *counting) ReadAt(p []byte, at int64) (int, error) {
	c.read++
	return c.Reader.ReadAt(p, at)
}

// corpus are messages as they are found in the wild.
func corpus(tb testing.TB) map[string][]byte {
	tb.Helper()
	all := map[string][]byte{}
	roots := []string{"../../../testdata/messages"}
	if more := os.Getenv("TENMA_CORPUS"); more != "" {
		roots = append(roots, more)
	}
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			all[path] = stored(text)
			return err
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
	return all
}

// What is kept shows every octet as the message does, and nearly always it is enough.
func TestKnown(t *testing.T) {
	kept, items := 0, 0
	for name, msg := range corpus(t) {
		for _, prefix := range []string{"", received, "Content-Type: text/html\r\n", "Subject: another\r\nContent-Language: en\r\n", "X: no line end"} {
			n := same(t, msg, prefix)
			if prefix == received {
				kept, items = kept+n, items+11
				if n < 5 {
					t.Logf("%s: only %d", name, n)
				}
			}
		}
	}
	t.Logf("%d of %d", kept, items)
	if kept < items*8/10 {
		t.Errorf("only %d of %d items were kept", kept, items)
	}
}

// Headers that are hard to keep.
func TestKnownOdd(t *testing.T) {
	for _, msg := range []string{
		"", "\r\n", "body only\r\n", " From: a\r\n\r\nx\r\n", "\tx: y\r\n", "From a@b Mon\r\nFrom: a\r\n\r\n", ": x\r\nSubject:\r\n\r\n",
		"Subject: a\r\n b\r\n\tc\r\nTo: x,\r\n  y\r\nsubject : d\r\nSUBJECT: e\r\nDate:f\r\n\r\nx\r\n",
		"Subject: a \r\nTo: \tb\r\nFrom:  c\r\nCc:\r\n d\r\nBcc: e\r\n \r\nReferences: <a>\r\n <b>\r\n\t<c>\r\n\r\n",
		"References: =?utf-8?q?=41?=\r\nMessage-Id: <m>\r\nCC: a, b,\r\n\tc\r\n\r\n",
		"Subject" + strings.Repeat(" ", 1200) + ": far\r\n\r\n", "Subject" + strings.Repeat(" ", 100) + ": near\r\n\r\n",
		"Subject: " + strings.Repeat("word ", 2000) + "\r\nX-Label: " + strings.Repeat("l", 300) + "\r\n\r\n",
		"X-Label: " + strings.Repeat("l", 150) + "\r\nContent-Type: text/" + strings.Repeat("l", 150) + "\r\nLines: " + strings.Repeat("1", 150) + "\r\n\r\n",
		strings.Repeat("Received: x\r\n", 500) + "\r\nx\r\n", "A: " + strings.Repeat("x", 70<<10) + "\r\n\r\n" + strings.Repeat("y", 70<<10),
		"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: message/rfc822\r\n\r\nFrom: a, b: c;\r\nSender: d\r\nSubject: \x00\xff\r\n\r\nx\r\n--x\r\n\r\n--x--\r\n",
		"Content-Type: message/rfc822\r\nContent-ID: <a>\r\nContent-Language: en, de\r\nContent-Disposition: inline; filename=\"a b\"\r\n\r\n",
		"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + strings.Repeat("--x\r\nContent-Disposition: attachment; filename=abcdefghijklmnopqrstuvwxyz\r\n\r\nx\r\n", 300),
		"--x\r\n\r\n", "Content-Type: multipart/mixed; boundary=x\r\n\r\nnothing\r\n",
	} {
		for _, prefix := range []string{"", received, "\r\n", "a", " b: c\r\n"} {
			same(t, []byte(msg), prefix)
		}
	}
}

func FuzzKnown(f *testing.F) {
	for _, msg := range corpus(f) {
		f.Add(msg[:min(len(msg), 2048)])
	}
	f.Add([]byte("Subject: a\r\n b\r\n\tc\r\nTo: x,\r\n  y\r\nsubject : d\r\n\r\nx\r\n"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		if len(msg) > 4096 {
			t.Skip()
		}
		same(t, stored(msg), "")
		same(t, stored(msg), received)
	})
}
