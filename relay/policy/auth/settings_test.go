package auth

import (
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// Settings are what they were after they were written and read, and a change of
// the password leaves them.
func TestSettings(t *testing.T) {
	c := config(t)
	d := open(t, c)
	add(t, d, user)
	a := addr(t, user)
	if s, ok := d.Settings(a); !ok || !reflect.DeepEqual(s, mail.Settings{}) {
		t.Errorf("%+v, %v", s, ok)
	}
	if _, ok := d.Settings(addr(t, "nobody@example.test")); ok {
		t.Error("settings of nobody")
	}
	before, err := os.ReadFile(c.Path)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"quota", "vacation", "app_password", "off", "0001-01-01"} {
		if strings.Contains(string(before), word) {
			t.Errorf("%q stands in the file of an account of which nothing was said", word)
		}
	}
	want := mail.Settings{
		Quota: 1 << 30, Forward: addrs(t, "x@foreign.test", `"a b"@foreign.test`), Keep: true, TrashDays: 7, JunkDays: -1, POP3Days: 14,
		SendAs: []string{"info@example.test", "@second.test"},
		Vacation: &mail.Vacation{
			From: time.Date(2026, 12, 24, 0, 0, 0, 0, time.UTC), Until: time.Date(2027, 1, 7, 0, 0, 0, 0, time.UTC),
			Subject: "Weg \"bald\" zurück", Text: "\nHello,\n\n'''I''' am \"\"\" away \\n.\n\t--\nä\n",
		},
	}
	set := func(to mail.Settings) {
		t.Helper()
		if err := d.Change(a, func(s *mail.Settings) error { *s = to; return nil }); err != nil {
			t.Fatal(err)
		}
		again := open(t, c)
		if got, ok := again.Settings(addr(t, "ANN@example.test")); !ok || !cmp.Equal(got, to) {
			t.Errorf("%s", cmp.Diff(to, got))
		}
	}
	set(want)
	if err := d.Passwd(a, "another"); err != nil {
		t.Fatal(err)
	}
	if got, _ := d.Settings(a); !cmp.Equal(got, want) {
		t.Errorf("after another password: %s", cmp.Diff(want, got))
	}
	want.Vacation = &mail.Vacation{Text: "x"}
	set(want)
	set(mail.Settings{Quota: -1})
	set(mail.Settings{})
	n := 0
	d.Accounts(func(smtp.Address) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d accounts", n)
	}
}

func TestSettingsThatCannotBe(t *testing.T) {
	c := config(t)
	d := open(t, c)
	add(t, d, user)
	before, _ := os.ReadFile(c.Path)
	v := func(v mail.Vacation) mail.Settings { return mail.Settings{Vacation: &v} }
	now := time.Now()
	for name, s := range map[string]mail.Settings{
		"itself":     {Forward: addrs(t, user)},
		"itself+":    {Forward: addrs(t, "Ann+x@example.test")},
		"twice":      {Forward: addrs(t, "x@foreign.test", "X@foreign.test")},
		"literal":    {Forward: addrs(t, "x@[192.0.2.1]")},
		"no domain":  {Forward: []smtp.Address{{Local: "postmaster"}}},
		"many":       {Forward: make([]smtp.Address, maxForward+1)},
		"days":       {TrashDays: maxDays + 1},
		"sender":     {SendAs: []string{"ann"}},
		"senders":    {SendAs: make([]string, maxSendAs+1)},
		"domain":     {SendAs: []string{"@[192.0.2.1]"}},
		"no text":    v(mail.Vacation{Text: " \n"}),
		"long text":  v(mail.Vacation{Text: strings.Repeat("x", maxText+1)}),
		"CR":         v(mail.Vacation{Text: "a\r\nb"}),
		"not UTF-8":  v(mail.Vacation{Text: "a\xff"}),
		"subject":    v(mail.Vacation{Text: "a", Subject: "a\nBcc: x@foreign.test"}),
		"subjects":   v(mail.Vacation{Text: "a", Subject: strings.Repeat("x", maxSubject+1)}),
		"backwards":  v(mail.Vacation{Text: "a", From: now, Until: now}),
		"backwards2": v(mail.Vacation{Text: "a", From: now, Until: now.Add(-time.Hour)}),
	} {
		if err := d.Change(addr(t, user), func(to *mail.Settings) error { *to = s; return nil }); !errors.Is(err, ErrSetting) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := d.SwitchOff(addr(t, user), []string{"http"}); !errors.Is(err, ErrSetting) {
		t.Error(err)
	}
	if err := d.Change(addr(t, "nobody@example.test"), func(*mail.Settings) error { return nil }); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	mine := errors.New("mine")
	if err := d.Change(addr(t, user), func(s *mail.Settings) error { s.Quota = 5; return mine }); !errors.Is(err, mine) {
		t.Error(err)
	}
	if err := d.edit(addr(t, user), func(fa *fileAccount) error { fa.Password = "x"; return nil }); err == nil {
		t.Error("the file was damaged")
	}
	if after, _ := os.ReadFile(c.Path); string(after) != string(before) {
		t.Error("the file has changed")
	}
}

// What an older relay wrote is read; a file that was edited into nonsense is not.
func TestFilesOfOtherTimes(t *testing.T) {
	c := config(t)
	add(t, open(t, c), user)
	text, err := os.ReadFile(c.Path)
	if err != nil {
		t.Fatal(err)
	}
	for more, good := range map[string]bool{
		"": true, "quota = 5\n": true, "send_as = ['INFO@Example.test']\n": true, "off = ['imap']\n": true,
		"forward = ['nobody']\n": false, "forward = ['ann@example.test']\n": false, "send_as = ['x']\n": false, "off = ['imap', 'imap']\n": false,
		"off = ['http']\n": false, "trash_days = 99999\n": false, "vacation = {}\n": false, "colour = 'red'\n": false,
		"[[account.app_password]]\nname = 'x'\n": false,
	} {
		if err := os.WriteFile(c.Path, append(text[:len(text):len(text)], more...), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(c); (err == nil) != good {
			t.Errorf("%q: %v", more, err)
		}
	}
}

func FuzzSender(f *testing.F) {
	for _, s := range []string{"a@b.test", "@b.test", "@", "@[::1]", "Ä@ü.test"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		one, err := ParseSender(text)
		if err != nil {
			return
		}
		if two, err := ParseSender(one); err != nil || one != two {
			t.Errorf("%q, %q, %q, %v", text, one, two, err)
		}
	})
}
