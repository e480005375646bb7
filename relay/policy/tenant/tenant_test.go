package tenant

import (
	"strings"
	"testing"

	"tenma/relay/wire/smtp"
)

func adviser() *Adviser {
	return New(Config{Tenants: []Tenant{
		{Name: "shop", Domains: []smtp.Domain{"shop.test", "shared.test"}, Accounts: []string{"app@ours.test", "@shop.test"}, VERP: true},
		{Name: "club", Domains: []smtp.Domain{"club.test", "shared.test"}, Accounts: []string{"club@shop.test"}},
		{Name: "mute"},
	}})
}

func TestWhose(t *testing.T) {
	for _, c := range []struct {
		account string
		named   []string
		want    string
		refused bool
	}{
		{},
		{account: "app@ours.test", want: "shop"},
		{account: "App@OURS.test", want: "shop"},
		{account: "ann@shop.test", want: "shop"},
		{account: "club@shop.test", want: "club"}, // itself before its domain
		{account: "ann@sub.shop.test"},            // exactly the domain
		{account: "bob@ours.test"},
		{account: "shop"},
		{account: "@"},
		{named: []string{"shop"}, want: "shop"},
		{named: []string{"SHOP"}, want: "shop"},
		{named: []string{"nobody"}, refused: true},
		{named: []string{""}, refused: true},
		{named: []string{"shop", "shop"}, refused: true},
		{named: []string{"@shop.test"}, refused: true},
		{named: []string{"app@ours.test"}, refused: true},
		{account: "bob@ours.test", named: []string{"club"}, want: "club"},
		{account: "app@ours.test", named: []string{"shop"}, want: "shop"},
		{account: "app@ours.test", named: []string{"club"}, refused: true},
		{account: "ann@shop.test", named: []string{"mute"}, refused: true},
	} {
		got, err := adviser().Whose(c.account, c.named)
		if c.refused {
			c.want = adviser().Of(c.account)
		}
		if got != c.want || (err != nil) != c.refused {
			t.Errorf("%q naming %q: %q, %v", c.account, c.named, got, err)
		}
		if c.refused && (err.Reply.Code != 550 || err.Reply.Status != smtp.Status{5, 7, 1}) {
			t.Errorf("%q naming %q: %v is no 550 5.7.1", c.account, c.named, err)
		}
	}
}

// What a client wrote comes back in the reply, short and in ASCII.
func TestWhoseRepliesInASCII(t *testing.T) {
	_, err := adviser().Whose("", []string{strings.Repeat("\x00\xff\u00e9\n", 1000)})
	for _, c := range []byte(err.Error()) {
		if c < ' ' || c > '~' {
			t.Fatalf("%q", err)
		}
	}
	if len(err.Error()) > 300 {
		t.Errorf("%d octets", len(err.Error()))
	}
}

// Without tenants nothing changes.
func TestNoTenants(t *testing.T) {
	a := New(Config{})
	if got, err := a.Whose("ann@shop.test", []string{"anything", "more"}); got != "" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if (Config{}).Granted() != nil {
		t.Error("grants without tenants: nobody would be signed for")
	}
}

func TestMaySend(t *testing.T) {
	for _, c := range []struct {
		name string
		as   smtp.Domain
		want bool
	}{
		{"shop", "shop.test", true},
		{"shop", "news.shop.test", true},
		{"shop", "shared.test", true},
		{"club", "shared.test", true},
		{"shop", "club.test", false},
		{"shop", "workshop.test", false},
		{"shop", "test", false},
		{"shop", "", false},
		{"mute", "mute.test", false},
		{"mute", "", false},
		{"", "shop.test", false},
		{"nobody", "shop.test", false},
	} {
		if got := adviser().MaySend(c.name, c.as); got != c.want {
			t.Errorf("%q as %q: %v", c.name, c.as, got)
		}
	}
	if New(Config{Tenants: []Tenant{{Name: "odd", Domains: []smtp.Domain{"1]"}}}}).MaySend("odd", "[192.0.2.1]") {
		t.Error("an address literal has no domain above it")
	}
}

func TestGet(t *testing.T) {
	a := adviser()
	if s, ok := a.Get("shop"); !ok || !s.VERP || len(s.Domains) != 2 {
		t.Errorf("%+v, %v", s, ok)
	}
	if _, ok := a.Get(""); ok {
		t.Error("nobody has settings")
	}
	a.Apply(Config{})
	if _, ok := a.Get("shop"); ok {
		t.Error("Apply kept what is gone")
	}
}

func TestParseName(t *testing.T) {
	for name, want := range map[string]string{
		"shop": "shop", "Shop": "shop", "a": "a", "9": "9", "news-2.b_c": "news-2.b_c", strings.Repeat("x", MaxName): strings.Repeat("x", MaxName),
		"": "", "-a": "", "a.": "", "a b": "", "a@b": "", "a:b": "", "\u00e9": "", strings.Repeat("x", MaxName+1): "", "a\n": "",
	} {
		if got, err := ParseName(name); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", name, got, err)
		}
	}
}
