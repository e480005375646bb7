package intake

import (
	"slices"
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
		s, _, _ := rig(Config{})
		if err := s.begin(t.Context(), e).maySend(header.Section(c.header)); (err == nil) != c.ok {
			t.Errorf("%q as %q with %q: %v", c.account, c.sender, c.header, err)
		}
	}
}

// grants says who may send as whom besides as itself.
type grants map[string][]string

func (g grants) MaySend(account string, a smtp.Address) bool {
	return slices.Contains(g[account], a.String())
}

// On a submission listener an account is its own address and what it was
// granted, unless the configuration says otherwise.
func TestMaySubmit(t *testing.T) {
	for _, c := range []struct {
		rule           SenderRule
		sender, header string
		ok             bool
	}{
		{"", "ann@ours.test", "From: Ann <ann@ours.test>\r\n", true},
		{"", "", "From: Ann <ann@ours.test>\r\n", true},
		{"", "sales@ours.test", "From: sales@ours.test\r\n", true},
		{"", "ann@ours.test", "From: sales@ours.test\r\nSender: ann@ours.test\r\n", true},
		{"", "ann@ours.test", "From: sales@ours.test, ann@ours.test\r\nSender: ann@ours.test\r\n", true},
		{"", "ann@ours.test", "From: sales@ours.test, ann@ours.test\r\n", false},
		{"", "ann@ours.test", "From: ann@ours.test, bob@ours.test\r\nSender: ann@ours.test\r\n", false},
		{"", "ann@ours.test", "From: ann@ours.test\r\nSender: bob@ours.test\r\n", false},
		{"", "ann@ours.test", "From: ann@ours.test\r\nSender: ann@ours.test\r\nSender: bob@ours.test\r\n", false},
		{"", "ann@ours.test", "From: ann@ours.test\r\nSender: x\r\n", false},
		{"", "bob@ours.test", "From: ann@ours.test\r\n", false},
		{"", "ann@ours.test", "From: bob@ours.test\r\n", false},
		{"", "", "From: bob@ours.test\r\n", false},
		{SenderDomain, "bob@ours.test", "From: carl@ours.test\r\n", true},
		{SenderDomain, "bob@ours.test", "From: eve@other.test\r\n", false},
		{SenderAny, "eve@other.test", "From: bob@another.test\r\n", true},
		{"nonsense", "ann@ours.test", "From: ann@ours.test\r\n", false},
	} {
		e := &mail.Envelope{Account: "ann@ours.test", Submission: true}
		if c.sender != "" {
			e.Sender, _ = smtp.ParseMailbox(c.sender)
		}
		s := New(Config{SubmissionSender: c.rule}, Deps{Senders: grants{"ann@ours.test": {"sales@ours.test"}}})
		if err := s.begin(t.Context(), e).maySend(header.Section(c.header)); (err == nil) != c.ok {
			t.Errorf("%q: as %q with %q: %v", c.rule, c.sender, c.header, err)
		}
	}
}
