package intake

import (
	"testing"

	"tenma/relay/mail"
	"tenma/relay/wire/header"
	"tenma/relay/wire/smtp"
)

// Promise 9: each way to send as somebody else is refused.
func TestMaySend(t *testing.T) {
	for _, c := range []struct {
		account, sender, header string
		ok                      bool
	}{
		{"", "eve@other.test", "From: eve@other.test\r\n", true}, // by its network
		{"ann@ours.test", "ann@ours.test", "From: ann@ours.test\r\n", true},
		{"ann@ours.test", "bob@ours.test", "From: Bob <bob@OURS.test>\r\n", true},
		{"ann@ours.test", "ann@news.ours.test", "", true},
		{"ann@ours.test", "", "From: ann@ours.test\r\n", true},
		{"ann@ours.test", "ann@ours.test", "Subject: none\r\n", true},
		{"ann@ours.test", "eve@other.test", "From: ann@ours.test\r\n", false},
		{"ann@ours.test", "ann@ours.test", "From: eve@other.test\r\n", false},
		{"ann@ours.test", "", "From: eve@other.test\r\n", false},
		{"ann@ours.test", "ann@yours.test", "", false},
		{"ann@ours.test", "ann@notours.test", "", false},
		{"ann@ours.test", "ann@test", "", false},
		{"ann@ours.test", "ann@ours.test", "From: ann@ours.test\r\nfrom: eve@other.test\r\n", false},
		{"ann@ours.test", "ann@ours.test", "From: \"ann@ours.test\" <eve@other.test>\r\n", false},
		{"ann@ours.test", "ann@ours.test", "From: (ann@ours.test) eve@other.test\r\n", false},
		{"ann@ours.test", "ann@ours.test", "From: nobody that can be told\r\n", false},
		{"ann@ours.test", "ann@ours.test", "From:\r\n eve@other.test\r\n", false},
		{"ann@ours.test", "ann@ours.test", "From: ann@ours.test, eve@other.test\r\n", false},
		{"ann@ours.test", "ann@ours.test", "From: <ann@ours.test> <eve@other.test>\r\n", false},
		{"ann@ours.test", "ann@ours.test", "From: us:ann@ours.test;,\r\n\teve@other.test\r\n", false},
		{"ann@ours.test", "ann@ours.test", "From: us:ann@ours.test;\r\n", true},
		{"ann@ours.test", "ann@ours.test", "From: Ann (at home) <ann@ours.test> (she)\r\n", true},
		{"ann", "ann@ours.test", "", false},
	} {
		e := &mail.Envelope{Account: c.account}
		if c.sender != "" {
			a, err := smtp.ParseMailbox(c.sender)
			if err != nil {
				t.Fatal(err)
			}
			e.Sender = a
		}
		if err := maySend(e, header.Section(c.header)); (err == nil) != c.ok {
			t.Errorf("%q as %q with %q: %v", c.account, c.sender, c.header, err)
		}
	}
}
