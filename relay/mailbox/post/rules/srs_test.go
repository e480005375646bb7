package rules

import (
	"errors"
	"strings"
	"testing"
	"time"

	"tenma/relay/wire/smtp"
)

var (
	srs   = NewSRS([]byte("0123456789abcdef0123456789abcdef"))
	today = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
)

func addr(t testing.TB, s string) smtp.Address {
	t.Helper()
	if s == "" {
		return smtp.Address{}
	}
	a, err := smtp.ParseMailbox(s)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return a
}

func TestSRSThereAndBack(t *testing.T) {
	for _, c := range []struct{ sender, back, form string }{
		{"ann@author.test", "ann@author.test", "SRS0="},
		{"a=b+c@author.test", "a=b+c@author.test", "SRS0="},
		{`"a b"@author.test`, `"a b"@author.test`, `"SRS0=`},
		{"ann@[192.0.2.1]", "ann@[192.0.2.1]", `"SRS0=`},
		{"SRS0=abcd=XY=author.test=ann@first.test", "SRS0=abcd=XY=author.test=ann@first.test", "SRS1="},
		{"srs0+abcd=XY=author.test=ann@first.test", "SRS0+abcd=XY=author.test=ann@first.test", "SRS1="},
		{"SRS1=zzzz=first.test==abcd=XY=author.test=ann@second.test", "SRS0=abcd=XY=author.test=ann@first.test", "SRS1="},
		{"SRS1=zzzz@second.test", "SRS1=zzzz@second.test", "SRS0="},
		{"SRS1=a==b=c@second.test", "SRS1=a==b=c@second.test", "SRS0="},
	} {
		there, err := srs.Forward(addr(t, c.sender), "ours.test", today)
		if err != nil || there.Domain != "ours.test" || !strings.HasPrefix(there.String(), c.form) {
			t.Errorf("%s goes as %s, %v", c.sender, there, err)
			continue
		}
		if again, err := smtp.ParseMailbox(there.String()); err != nil || again != there {
			t.Errorf("%s is no address: %v", there, err)
		}
		lower, upper := there, there
		lower.Local, upper.Local = strings.ToLower(there.Local), strings.ToUpper(there.Local)
		for _, a := range []smtp.Address{there, lower, upper} {
			back, err := srs.Reverse(a, today.Add((SRSDays-1)*24*time.Hour))
			if err != nil || !strings.EqualFold(back.String(), c.back) {
				t.Errorf("%s comes back to %s, %v", a, back, err)
			}
		}
	}
}

func TestSRSLeavesAlone(t *testing.T) {
	for _, s := range []string{"", "ann@ours.test", "SRS0=a=b=c=d@ours.test"} {
		if got, err := srs.Forward(addr(t, s), "ours.test", today); err != nil || got.String() != s {
			t.Errorf("%q became %q, %v", s, got, err)
		}
	}
	long := smtp.Address{Local: strings.Repeat("a", 40), Domain: "author.test"}
	if got, err := srs.Forward(long, "ours.test", today); !errors.Is(err, ErrLongSender) || got != long {
		t.Errorf("%s, %v", got, err)
	}
}

func TestSRSIsNoOpenRelay(t *testing.T) {
	good, err := srs.Forward(addr(t, "ann@author.test"), "ours.test", today)
	if err != nil {
		t.Fatal(err)
	}
	other, _ := NewSRS([]byte("another key of thirty-two octets")).Forward(addr(t, "ann@author.test"), "ours.test", today)
	for _, local := range []string{
		other.Local, good.Local + "x", strings.Replace(good.Local, "author", "victim", 1), strings.Replace(good.Local, "SRS0", "SRS1", 1),
		"SRS0", "SRS0=", "SRS0==", "SRS0====", "SRS0=AAAAAA=AA=victim.test=x", "SRS1=AAAAAA=victim.test==x", "SRS1=", "SRS1==", "SRS2=a=b=c=d", "ann", "",
		good.Local[:4] + "-" + good.Local[6:],
	} {
		if a, err := srs.Reverse(smtp.Address{Local: local, Domain: "ours.test"}, today); err == nil {
			t.Errorf("%s leads to %s", local, a)
		}
	}
	for days, want := range map[int]error{-2: ErrExpired, -1: nil, 0: nil, SRSDays: nil, SRSDays + 1: ErrExpired, 300: ErrExpired} {
		if _, err := srs.Reverse(good, today.AddDate(0, 0, days)); !errors.Is(err, want) {
			t.Errorf("after %d days: %v", days, err)
		}
	}
}

func FuzzSRS(f *testing.F) {
	f.Add("ann", "author.test")
	f.Add("SRS0=a=b=c=d", "first.test")
	f.Add("SRS1=a=first.test==b=c=d=e", "second.test")
	f.Add("SRS0=Q5K7TN=3W=a.test=b", "ours.test")
	f.Fuzz(func(t *testing.T, local, domain string) {
		a, err := smtp.ParseMailbox(smtp.Address{Local: local, Domain: smtp.Domain(domain)}.String())
		if err != nil || a.Domain == "" {
			return
		}
		if back, err := srs.Reverse(a, today); err == nil {
			if _, err := smtp.ParseDomain(string(back.Domain)); err != nil || back.Local == "" {
				t.Fatalf("%s leads to %q", a, back)
			}
		}
		there, err := srs.Forward(a, "ours.test", today)
		if err != nil || there == a {
			return
		}
		back, err := srs.Reverse(there, today)
		if err != nil {
			t.Fatalf("%s goes as %s, which does not come back: %v", a, there, err)
		}
		if !IsSRS(a.Local) && back != a {
			t.Fatalf("%s comes back as %s", a, back)
		}
	})
}
