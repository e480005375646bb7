//go:build interop

package main

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// nested is a message of so many parts in one another.
func nested(levels int) string {
	var b strings.Builder
	b.WriteString("Subject: nested\r\n")
	for i := range levels {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	b.WriteString("\r\nneedle\r\n")
	return b.String()
}

// messages are built to hurt who reads them. All come by SMTP but those that are
// too long for it, and each is looked at in every way.
func (h *hostileHouse) messages(t *testing.T) {
	var ids strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&ids, " <%d@x>\r\n", i)
	}
	list := []struct{ name, text string }{
		{"10,000 nested parts", nested(10_000)},
		{"100,000 siblings", "Subject: siblings\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n" + strings.Repeat("--x\r\n\r\nneedle\r\n", 100_000) + "--x--\r\n"},
		{"a million header fields", strings.Repeat("A: b\r\n", 1_000_000) + "Subject: fields\r\n\r\nneedle\r\n"},
		{"5,000 messages in messages", "Subject: messages\r\n" + strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 5000) + "needle\r\n"},
		{"10,000 references", "Subject: references\r\nMessage-ID: <0@x>\r\nReferences:\r\n" + ids.String() + "\r\nneedle\r\n"},
		{"100,000 addresses", "Subject: addresses\r\nTo: " + strings.Repeat("a@b,\r\n ", 100_000) + "c@d\r\n\r\nneedle\r\n"},
		{"a value of 5 MB", "Subject: value\r\nContent-Type: multipart/mixed; boundary=x; " + strings.Repeat("a=\"(\\\"\";\r\n ", 500_000) + "\r\n\r\nneedle\r\n"},
	}
	c := h.eve(t)
	for _, m := range list {
		reply := "refused"
		if v, err := converse(h.smtp); err == nil {
			if reply, err = v.send("x@far.test", "eve@ours.test", strings.TrimSuffix(m.text, "\r\n")); err != nil {
				reply = err.Error()
			}
			v.Close()
		}
		t.Logf("%s, %d octets, by SMTP: %s", m.name, len(m.text), reply)
		c.n++
		fmt.Fprintf(c, "t%d APPEND Drafts {%d+}\r\n%s\r\n", c.n, len(m.text), m.text)
		if _, tagged, err := c.answer(fmt.Sprintf("t%d ", c.n)); err != nil || !strings.HasPrefix(tagged, "OK") {
			t.Fatalf("APPEND of %s: %s, %v", m.name, tagged, err)
		}
	}
	h.want(t, c, "SELECT Drafts", "OK")
	path := strings.TrimSuffix(strings.Repeat("1.", 50), ".")
	for n := range list {
		for _, what := range []string{"ENVELOPE", "BODYSTRUCTURE", "BODY.PEEK[1.1.1.1.1.1]", "BODY.PEEK[" + path + "]", "BODY.PEEK[99999]", "BINARY.SIZE[1]", "BODY.PEEK[]<4294967295.4294967295>", "BODY.PEEK[HEADER.FIELDS (Subject)]"} {
			h.want(t, c, fmt.Sprintf("FETCH %d %s", n+1, what), "")
		}
	}
	h.want(t, c, "FETCH 1:* BODY.PEEK["+path+".1]", "BAD")
	var names, items strings.Builder
	for i := range 200 {
		fmt.Fprintf(&names, " A%d", i)
	}
	ways := 5 // through a million fields
	if h.crowd {
		ways = 20
	}
	for range ways {
		items.WriteString(" BODY.PEEK[HEADER.FIELDS (" + names.String()[1:] + ")]")
	}
	h.want(t, c, "FETCH 3 ("+items.String()[1:]+")", "OK")
	for _, say := range []string{"SEARCH TEXT needle", "SEARCH BODY nothing", "SEARCH HEADER A c", "SORT (SUBJECT FROM TO CC) UTF-8 ALL", "THREAD REFERENCES UTF-8 ALL"} {
		h.want(t, c, say, "OK")
	}
	h.want(t, c, "APPEND Drafts {10737418240}", "NO [TOOBIG]")
	h.want(t, c, "APPEND Drafts ~{10737418240}", "NO [TOOBIG]")
}

// commands are what no client would say.
func (h *hostileHouse) commands(t *testing.T) {
	many := func(n int, of func(i int) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(of(i))
		}
		return b.String()
	}
	repeat := strings.Repeat
	for _, c := range []struct{ say, want string }{
		{"SEARCH " + repeat("(", 3000) + "ALL" + repeat(")", 3000), "BAD"},
		{"SEARCH " + repeat("NOT ", 3000) + "ALL", "BAD"},
		{"SEARCH " + repeat("NOT ", 900) + "ALL", "NO [LIMIT]"},
		{"SEARCH " + repeat("OR ", 900) + repeat("ALL ", 900) + "ALL", "NO [LIMIT]"},
		{"SEARCH " + repeat("ALL ", 10_000) + "ALL", "NO [LIMIT]"},
		{"SEARCH " + many(200, func(i int) string { return fmt.Sprintf("TEXT x%d ", i) }) + "ALL", "NO [LIMIT]"},
		{"SEARCH TEXT \"" + repeat("x", 60_000) + "\"", "NO [LIMIT]"},
		{"SEARCH " + many(8000, func(i int) string { return strconv.Itoa(2*i+1) + "," }) + "1", "OK"},
		{"FETCH " + many(8000, func(i int) string { return strconv.Itoa(2*i+1) + "," }) + "1 UID", "BAD"},
		{"UID FETCH " + many(8000, func(i int) string { return strconv.Itoa(2*i+1) + "," }) + "1 UID", "OK"},
		{"UID FETCH 4294967295:* UID", "OK"},
		{"UID FETCH 4294967296 UID", "BAD"},
		{"FETCH 0 UID", "BAD"},
		{"FETCH 1 (" + repeat("UID ", 5000) + "UID)", "BAD"},
		{"FETCH 1 BODY.PEEK[HEADER.FIELDS (" + repeat("A ", 5000) + "A)]", "BAD"},
		{"FETCH 1 BODY.PEEK[]<9223372036854775807.9223372036854775807>", "OK"},
		{"FETCH 1 BODY.PEEK[]<9223372036854775808.1>", "BAD"},
		{"STORE 1 +FLAGS (" + many(5000, func(i int) string { return fmt.Sprintf("k%d ", i) }) + "x)", "NO [LIMIT]"},
		{"STORE 1 +FLAGS (" + repeat("k", 5000) + ")", "NO [LIMIT]"},
		{"STORE 1 +FLAGS (a\xffb)", "BAD"},
		{"LIST \"\" \"" + repeat("%*", 5000) + "\"", "BAD"},
		{"LIST \"\" (" + repeat("% ", 5000) + "%)", "BAD"},
		{"SORT (" + repeat("DATE ", 5000) + "DATE) UTF-8 ALL", "OK"},
		{"ID (" + repeat("\"a\" \"b\" ", 5000) + "\"a\" \"b\")", "BAD"},
		{"ID (\"name\" \"x ERROR panic\")", "OK"},
		{"SELECT \"" + repeat("x", 60_000) + "\"", "BAD [TOOBIG]"},
		{"NOOP " + repeat(" ", 60_000), ""},
		{"SEARCH YOUNGER 9223372036854775807", "OK"},
	} {
		conn := h.eve(t)
		h.want(t, conn, "SELECT Drafts", "OK")
		h.want(t, conn, c.say, c.want)
		h.want(t, conn, "NOOP", "OK")
		conn.Close()
	}
	c := h.eve(t)
	// 100,000 keys in literals: the hundredth literal is one too many.
	var b strings.Builder
	b.WriteString("x SEARCH")
	for range 100_000 {
		b.WriteString(" TEXT {1+}\r\na")
	}
	heard, closed := c.hears(b.String()+"\r\n", "x ")
	t.Logf("100,000 literals: %.200q, closed %v", heard, closed)
	if !strings.Contains(heard, "BAD") && !strings.Contains(heard, "BYE") && !strings.Contains(heard, "x NO") {
		t.Errorf("100,000 literals: %.200q", heard)
	}
	c = h.eve(t)
	heard, _ = c.hears(strings.Repeat("a NOOP\r\n", 20_000)+"z NOOP\r\n", "z ")
	if n := strings.Count(heard, "OK"); n != 20_001 {
		t.Errorf("%d of 20,001 pipelined commands were answered", n)
	}
	c = h.eve(t)
	h.want(t, c, "SELECT INBOX", "OK")
	if heard, _ := c.hears("i IDLE\r\n"+strings.Repeat("x", 500)+"\r\n", "i "); !strings.Contains(heard, "i BAD") {
		t.Errorf("garbage in IDLE: %.200q", heard)
	}
	if heard, closed := c.hears("i IDLE\r\n"+strings.Repeat("x", 1<<20), ""); !strings.Contains(heard, "BYE") || !closed {
		t.Errorf("a line without an end in IDLE: %.200q", heard)
	}
}
