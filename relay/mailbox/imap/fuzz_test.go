package imap_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// FuzzSession says anything to a session that has a mailbox open. It must not
// panic (testLog sees to it), hang, or lose track of the conversation: a NOOP
// afterwards is answered, or the connection is at its end.
func FuzzSession(f *testing.F) {
	for _, s := range []string{
		"FETCH 1:* (FLAGS BODY[] BODYSTRUCTURE ENVELOPE BINARY[1] BODY[1.MIME])",
		"UID FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT {3}\r\nabc)]<0.5>",
		"STORE 1 (UNCHANGEDSINCE 1) +FLAGS.SILENT (\\Seen $x)",
		"SEARCH RETURN (ALL COUNT) OR FROM a NOT (SUBJECT {1+}\r\nb)",
		"SORT (REVERSE DATE) UTF-8 ALL", "THREAD REFERENCES UTF-8 ALL",
		"COPY 1:* Trash", "MOVE 1 Archive\r\nx NOOP", "EXPUNGE", "UID EXPUNGE 1:*", "CLOSE",
		"LIST (SUBSCRIBED) \"\" (* %) RETURN (STATUS (MESSAGES SIZE))", "LSUB \"\" *",
		"STATUS INBOX (MESSAGES)", "SELECT Trash (CONDSTORE)", "EXAMINE {5}\r\nINBOX", "ENABLE IMAP4rev2 CONDSTORE",
		"APPEND INBOX (\\Seen) {5+}\r\nabcde", "APPEND INBOX ~{3}\r\na\x00b", "CREATE a/b/c", "RENAME INBOX x", "DELETE x",
		"GETQUOTAROOT INBOX", "ID (\"a\" NIL)", "IDLE\r\nDONE", "LOGOUT", "AUTHENTICATE PLAIN", "NAMESPACE", "CAPABILITY",
		"FETCH 1 (", "FETCH \"", "UID", "UID ", "", " ", "{5}", "UID FETCH $ UID",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if len(line) > 4000 {
			return
		}
		inWorld(t, func(w *world) {
			w.put("ann@b.test", "INBOX", nested)
			w.put("ann@b.test", "INBOX", "Subject: b\r\nContent-Type: multipart/mixed; boundary=\"\xff\"\r\n\r\n--\xff\r\n")
			c := w.login("ann")
			w.conns["1"] = c
			if _, err := c.ask("s", "SELECT INBOX"); err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				for {
					l, err := c.line()
					if err != nil || strings.HasPrefix(l, "zz ") {
						return
					}
				}
			}()
			_ = c.SetDeadline(time.Now().Add(100 * time.Hour)) // it has gone long before
			_, err := io.WriteString(c, "f "+line+"\r\n")
			synctest.Wait()
			for _, end := range []string{"\r\n", "\r\nDONE\r\nzz NOOP\r\n"} {
				if err == nil {
					_, err = io.WriteString(c, end)
				}
				synctest.Wait()
			}
			if tc, ok := c.Conn.(interface{ CloseWrite() error }); ok {
				_ = tc.CloseWrite()
			}
			<-done
			_ = net.Conn(c).Close()
		})
	})
}

const nested = "From: a@b.test\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\ntext\r\n" +
	"--x\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--x--\r\n"
