package auth

import (
	"testing"

	"tenma/relay/mail"
)

func TestMaySend(t *testing.T) {
	c := config(t)
	c.Aliases = []Alias{
		{Address: addr(t, "team@example.test"), To: addrs(t, "ann@example.test", "bob@second.test")},
		{Address: addr(t, "bob@second.test"), To: addrs(t, "bob@second.test", "ann@example.test")},
		{Address: addr(t, "out@foreign.test"), To: addrs(t, "ann@example.test")},
	}
	d := open(t, c)
	add(t, d, "zed@example.test", "ann@example.test", "bob@second.test")
	if err := d.Change(addr(t, "zed@example.test"), func(s *mail.Settings) error {
		s.SendAs = []string{"@empty.test", "news@foreign.test", "bob@second.test"}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	const ann, zed = "ann@example.test", "zed@example.test"
	for _, c := range []struct {
		account, as string
		want        bool
	}{
		{ann, "ann@example.test", true},
		{ann, "Ann+news@example.test", true},
		{"ANN@example.test", "ann@example.test", true},
		{ann, "team@example.test", true},
		{ann, "team+x@example.test", true},
		{ann, "bob@second.test", false}, // although she gets his mail
		{ann, "bob+x@second.test", false},
		{ann, "zed@example.test", false},
		{ann, "nobody@example.test", false},
		{ann, "ann@second.test", false},
		{ann, "ann@sub.example.test", false},
		{ann, "out@foreign.test", false}, // not ours to speak for
		{ann, "x@foreign.test", false},
		{ann, "postmaster", false},
		{zed, "postmaster@example.test", true},
		{zed, "anybody@empty.test", true},
		{zed, "News@foreign.test", true},
		{zed, "news+x@foreign.test", true},
		{zed, "x@foreign.test", false},
		{zed, "bob@second.test", true},
		{zed, "team@example.test", false},
		{"nobody@example.test", "team@example.test", false},
		{"", "ann@example.test", false},
	} {
		if got := d.MaySend(c.account, addr(t, c.as)); got != c.want {
			t.Errorf("%s as %s: %v", c.account, c.as, got)
		}
	}
}
