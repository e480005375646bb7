package returns

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tenma/relay/wire/header"
	"tenma/relay/wire/smtp"
)

// The fields are as RFC 8058 wants them, one line each; the link says, years later
// too, whose copy it was in, and shows nobody anything.
func TestListUnsubscribe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := settings(t)
		c.Domain, c.Links = "", "https://u.sender.test/go/"
		a, err := New(c, Deps{})
		if err != nil {
			t.Fatal(err)
		}
		r := now()
		h := header.Section(a.ListUnsubscribe(r))
		token, ok := strings.CutPrefix(h.Text("List-Unsubscribe"), "<"+c.Links)
		token, closed := strings.CutSuffix(token, ">")
		if !ok || !closed || h.Text("List-Unsubscribe-Post") != "List-Unsubscribe=One-Click" || strings.Count(string(h), "\r\n") != 2 {
			t.Fatalf("%q", h)
		}
		if strings.Contains(string(h), r.Recipient.Local) || strings.Contains(string(h), r.Tenant) {
			t.Errorf("it shows whose it is: %q", h)
		}
		time.Sleep(10 * 365 * 24 * time.Hour)
		if got, err := a.OpenLink(token); err != nil || got != r {
			t.Errorf("%+v, %v", got, err)
		}
		field := strings.Join(strings.Fields(header.Section(adviser(t).Field(r)).Text(FieldName)), "")
		for _, bad := range []string{"", token[1:], token + "A", "A" + token, strings.ToLower(token), field, adviser(t).Signer().Sign(Unsubscribe, r)} {
			if _, err := a.OpenLink(bad); !errors.Is(err, ErrForged) {
				t.Errorf("%q: %v", bad, err)
			}
		}
		if a.Domain() != "" || !a.ReturnPath(r).IsNull() || a.Field(r) != nil {
			t.Error("links alone make no return paths")
		}
		if err := a.Recipient(smtp.Address{Local: a.now.Load().links.Sign(ReturnPath, r)}); err == nil {
			t.Error("links alone take mail")
		}
	})
}

// However long the names are, the line is one that every host takes (RFC 5322 section
// 2.1.1).
func TestLongLink(t *testing.T) {
	c := settings(t)
	c.Links = "https://u.sender.test/" + strings.Repeat("x", 176) + "/"
	a, err := New(c, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	r := now()
	r.Recipient = smtp.Address{Local: strings.Repeat("l", 64), Domain: smtp.Domain(strings.Repeat("d.", 94) + "t")}
	r.Tenant, r.Campaign = strings.Repeat("t", 64), strings.Repeat("c", 500)
	for line := range strings.Lines(string(a.ListUnsubscribe(r))) {
		if len(line) > 1000 {
			t.Errorf("a line of %d octets", len(line))
		}
	}
}

func TestNoLinks(t *testing.T) {
	a := adviser(t)
	if a.HasLinks() || a.ListUnsubscribe(now()) != nil {
		t.Error("there are links without an address")
	}
	if _, err := a.OpenLink(a.Signer().Seal(Unsubscribe, now())); !errors.Is(err, ErrForged) {
		t.Errorf("%v", err)
	}
}
