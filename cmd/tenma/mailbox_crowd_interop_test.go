//go:build interop

package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// folders have names that nobody should give them, and are many.
func (h *hostileHouse) folders(t *testing.T) {
	c := h.eve(t)
	for _, f := range []struct{ name, want string }{
		{`"a//b"`, "NO"},
		{`"/a"`, "NO"},
		{`"../ann@ours.test/INBOX"`, "OK"},
		{`"."`, "OK"},
		{`"..."`, "OK"},
		{`"` + strings.Repeat("x", 256) + `"`, "NO"},
		{`"` + strings.Repeat("x/", 30) + `x"`, "NO"},
		{`"` + strings.Repeat("xy/", 10_000) + `x"`, "NO"},
		{`"&AAA-"`, "NO"},
		{`"&AAoADQ-"`, "NO"},
		{`"&*-"`, "NO"},
		{`"&AGE-"`, "NO"},
		{`"a&2AA-"`, "NO"},
		{"\"\xff\xfe\"", "NO"},
		{"\"a\x01b\"", "NO"},
		{"\"a{5}\"", "OK"},
		{`"a\"b\\c"`, "OK"},
		{"{4+}\r\na\r\nb", "BAD"},
		{"{3+}\r\na\x00b", "BAD"},
		{`""`, "NO"},
		{`"inbox/x"`, "OK"},
		{`"%"`, "OK"},
		{`"*"`, "OK"},
	} {
		h.want(t, c, "CREATE "+f.name, f.want)
	}
	h.want(t, c, "ENABLE UTF8=ACCEPT IMAP4rev2", "OK")
	for _, name := range []string{"\"\xff\"", "\"a\xc0\x80b\"", "\"\xed\xa0\x80\"", "\"a\u2028b\"", "\"a\u0085b\""} {
		h.want(t, c, "CREATE "+name, "NO")
	}
	h.want(t, c, "CREATE \"grüße\"", "OK")
	h.want(t, c, "SELECT \"a{5}\"", "OK")
	h.want(t, c, "SELECT \"a\\\"b\\\\c\"", "OK")
	h.want(t, c, "RENAME \"grüße\" \"grüße/x\"", "NO")
	h.want(t, c, "RENAME INBOX INBOX", "NO")
	for range 50 {
		h.want(t, c, "RENAME grüße g2", "OK")
		h.want(t, c, "RENAME g2 grüße", "OK")
	}
	// As many as there may be, pipelined, with long names.
	var all bytes.Buffer
	for i := range 2500 {
		fmt.Fprintf(&all, "f CREATE \"%s%d/%s/%s/%s\"\r\n", strings.Repeat("a", 245), i, strings.Repeat("a", 240), strings.Repeat("a", 240), strings.Repeat("a", 240))
	}
	heard, _ := c.hears(all.String()+"z NOOP\r\n", "z ")
	t.Logf("2,500 CREATE of four levels each: %d OK, %d NO", strings.Count(heard, "f OK"), strings.Count(heard, "f NO [LIMIT]"))
	if n := strings.Count(heard, "f OK") + strings.Count(heard, "f NO [LIMIT]"); n != 2500 || !strings.Contains(heard, "f NO [LIMIT]") {
		t.Errorf("%d answers as they should be", n)
	}
	for _, pattern := range []string{"*", "%*%*%*%*%*%*%*%*%*%*%*%*%*%*%*%*b", strings.Repeat("%*", 400) + "b", strings.Repeat("a*", 400) + "b", strings.Repeat("*a", 400) + "%b"} {
		h.want(t, c, "LIST \"\" \""+pattern+"\"", "OK")
	}
	var patterns []string
	for i := range 20 {
		patterns = append(patterns, fmt.Sprintf("\"%sb%d\"", strings.Repeat("*a", 400), i))
	}
	h.want(t, c, "LIST (SUBSCRIBED RECURSIVEMATCH) \"\" ("+strings.Join(patterns, " ")+")", "")
	h.want(t, c, "LSUB \"\" \""+strings.Repeat("a*", 400)+"%\"", "OK")
	h.want(t, c, "LIST \"\" % RETURN (STATUS (MESSAGES UNSEEN SIZE))", "OK")
	// Another's mailbox is nowhere, by any name.
	for _, name := range []string{"ann@ours.test", "../../ann@ours.test/INBOX", "/ann@ours.test/INBOX", "user/ann@ours.test/INBOX", "~ann@ours.test/INBOX", "#user/ann@ours.test"} {
		h.want(t, c, "SELECT \""+name+"\"", "NO")
	}
}

// manyMessages makes very many messages of 200, by copying them so often, with
// references that go in circles, and asks for what is slow on them.
func (h *hostileHouse) manyMessages(t *testing.T, doublings int) {
	c := h.eve(t)
	h.want(t, c, "CREATE many", "OK")
	for i := range 200 {
		var refs strings.Builder
		for k := range 40 {
			fmt.Fprintf(&refs, " <%d@x>\r\n", (i+k*7+1)%200)
		}
		text := fmt.Sprintf("Subject: Re: x\r\nMessage-ID: <%d@x>\r\nReferences:%s\r\nx\r\n", i, refs.String())
		c.n++
		fmt.Fprintf(c, "t%d APPEND many {%d+}\r\n%s\r\n", c.n, len(text), text)
		if _, tagged, err := c.answer(fmt.Sprintf("t%d ", c.n)); err != nil || !strings.HasPrefix(tagged, "OK") {
			t.Fatal(tagged, err)
		}
	}
	h.want(t, c, "SELECT many", "OK")
	for range doublings {
		h.want(t, c, "COPY 1:* many", "OK")
	}
	for _, say := range []string{"FETCH 1:* (UID FLAGS)", "SEARCH OR FROM x SUBJECT y", "SEARCH HEADER X-Y z", "SORT (SUBJECT REVERSE DATE) UTF-8 ALL", "THREAD REFERENCES UTF-8 ALL", "THREAD ORDEREDSUBJECT UTF-8 ALL", "STORE 1:* +FLAGS.SILENT (\\Flagged)"} {
		h.want(t, c, say, "OK")
	}
	h.want(t, c, "MOVE 1:* INBOX", "OK")
	c.Close()
	p := h.dial(t, h.pop3s, true)
	if heard, closed := p.hears("USER eve@ours.test\r\nPASS "+hostilePassword+"\r\nUIDL\r\n", "."); closed || strings.Count(heard, "\n") < 200<<doublings {
		t.Errorf("UIDL gave %d lines, closed: %v", strings.Count(heard, "\n"), closed)
	}
	for _, say := range []string{"TOP 1 999999999", "TOP 1 99999999999999999999", "LIST 99999999999999999999", "RETR -1", "RETR 4294967297", "DELE 0"} {
		heard, closed := p.hears(say+"\r\nNOOP\r\n", "+OK nothing done")
		t.Logf("%s: %.80q", say, heard)
		if closed {
			t.Errorf("%s ended the session: %.100q", say, heard)
		}
	}
}

// readsNothing: clients that ask for much and take none of it, while others use the
// same folder.
func (h *hostileHouse) readsNothing(t *testing.T) {
	c := h.eve(t)
	text := "Subject: large\r\n\r\n" + strings.Repeat(strings.Repeat("x", 76)+"\r\n", 10<<20/78)
	c.n++
	fmt.Fprintf(c, "t%d APPEND Archive {%d+}\r\n%s\r\n", c.n, len(text), text)
	if _, tagged, err := c.answer(fmt.Sprintf("t%d ", c.n)); err != nil || !strings.HasPrefix(tagged, "OK") {
		t.Fatal(tagged, err)
	}
	h.want(t, c, "SELECT Archive", "OK")
	var deaf []*mailConn
	for range 100 {
		d := h.eve(t)
		h.want(t, d, "SELECT Archive", "OK")
		deaf = append(deaf, d)
		go io.WriteString(d, strings.Repeat("a FETCH 1 BODY.PEEK[]\r\n", 10_000)) // until the relay reads no more
	}
	p := h.dial(t, h.pop3s, true) // INBOX has very many messages
	if heard, closed := p.hears("USER eve@ours.test\r\nPASS "+hostilePassword+"\r\nNOOP\r\n", "+OK nothing"); closed {
		t.Errorf("POP3: %q", heard)
	}
	go io.WriteString(p, strings.Repeat("RETR 1\r\n", 100_000))
	time.Sleep(2 * time.Second)
	// The folder, the mailbox and its deliveries go on.
	h.want(t, c, "STORE 1 +FLAGS (\\Answered)", "OK")
	h.want(t, c, "COPY 1 Archive", "OK")
	h.want(t, c, "CREATE beside", "OK")
	for range 5 {
		v, err := converse(h.smtp)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.send("x@far.test", "eve@ours.test", "Subject: more\r\n\r\nx"); err != nil {
			t.Error(err)
		}
		v.Close()
	}
	h.want(t, c, "STORE 1:* +FLAGS (\\Deleted)", "OK")
	h.want(t, c, "EXPUNGE", "OK")
	now, _ := h.memory()
	t.Logf("%d MiB with 101 that read nothing", now)
	for _, d := range deaf {
		d.Close()
	}
}

// idleClients: so many connections by TLS, logged in, in IDLE.
func (h *hostileHouse) idleClients(t *testing.T, clients int) {
	before, _ := h.memory()
	conns := make([]*mailConn, clients)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for n := next.Add(1) - 1; n < int64(clients); n = next.Add(1) - 1 {
				c, err := h.connect(h.imaps, true, fmt.Sprintf("127.0.0.%d", n%10+1))
				if err != nil {
					t.Errorf("client %d: %v", n, err)
					return
				}
				conns[n] = c
				_, tagged, err := c.ask(`LOGIN ann@ours.test "` + hostilePassword + `"`)
				if err == nil {
					_, tagged, err = c.ask("SELECT INBOX")
				}
				if err != nil || !strings.HasPrefix(tagged, "OK") {
					t.Errorf("client %d: %s, %v", n, tagged, err)
					return
				}
				_ = c.SetDeadline(time.Now().Add(patience))
				if _, err := io.WriteString(c, "i IDLE\r\n"); err != nil {
					t.Error(err)
				}
				if line, err := c.in.ReadString('\n'); err != nil || line[0] != '+' {
					t.Errorf("IDLE: %q, %v", line, err)
				}
			}
		})
	}
	wg.Wait()
	now, _ := h.memory()
	t.Logf("%d clients idle: %d MiB, %d KiB each", clients, now, (now-before)<<10/clients)
	// All hear of a message.
	from := time.Now()
	v, err := converse(h.smtp)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if _, err := v.send("x@far.test", "ann@ours.test", "Subject: news\r\n\r\nx"); err != nil {
		t.Error(err)
	}
	heard := 0
	for _, c := range conns {
		if c == nil {
			continue
		}
		_ = c.SetReadDeadline(time.Now().Add(patience))
		if line, err := c.in.ReadString('\n'); err == nil && strings.Contains(line, "EXISTS") {
			heard++
		}
	}
	t.Logf("%d heard of a message within %s", heard, time.Since(from).Round(time.Millisecond))
	if heard != clients {
		t.Errorf("%d of %d heard of a message", heard, clients)
	}
	now, _ = h.memory()
	t.Logf("%d MiB then", now)
	for _, c := range conns {
		if c != nil {
			c.Close()
		}
	}
}
