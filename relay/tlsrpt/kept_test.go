package tlsrpt

import (
	"strings"
	"testing"
	"time"

	"tenma/relay/wire/tlsrpt"
)

// What was damaged is passed over, what is too old or from the future too.
func TestTake(t *testing.T) {
	now := time.Date(2026, 4, 3, 10, 0, 0, 0, time.UTC)
	line := func(domain, day string) string {
		return `{"domain":"` + domain + `","day":"` + day + `","policies":[{"type":0,"good":1}]}` + "\n"
	}
	b := newBook(1)
	bad := b.take([]byte(line("a.test", "2026-04-03T00:00:00Z")+
		line("a.test", "2026-04-03T00:00:00Z")+ // twice
		line("b.test", "2026-04-02T00:00:00Z")+
		line("old.test", "2026-03-25T00:00:00Z")+
		line("future.test", "2026-04-04T00:00:00Z")+
		line("B.test", "2026-04-02T00:00:00Z")+
		line("[192.0.2.1]", "2026-04-02T00:00:00Z")+
		line("c.test", "2026-04-02T01:00:00Z")+
		`{"domain":"d.test","day":"2026-04-02T00:00:00Z","policies":[{"type":9}]}`+"\n"+
		`{"domain":"d.test","day":"2026-04-02T00:00:00Z"}`+"\n"+
		"half a li"), now)
	if bad != 6 || len(b.open) != 1 || b.open["a.test"] == nil || len(b.closed) != 1 || b.closed[0].domain != "b.test" {
		t.Errorf("%d bad, %d open, %d closed", bad, len(b.open), len(b.closed))
	}
	if due := b.closed[0].due; due.Before(now.Truncate(day)) || due.After(now.Truncate(day).Add(tellWithin)) {
		t.Errorf("due %v", due)
	}
	if !b.count(session("a.test", tlsrpt.FaultNone), now) || b.open["a.test"].policies[policyKey{}].good != 2 {
		t.Errorf("%+v", b.open["a.test"].policies)
	}
}

func FuzzTake(f *testing.F) {
	f.Add(`{"domain":"a.test","day":"2026-04-02T00:00:00Z","due":"2026-04-03T01:00:00Z","tries":3,"done":["x"],"policies":[{"type":1,"text":"mx: x","bad":2,"failures":[{"result":"r","from":"192.0.2.1","count":2}]}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		now := time.Date(2026, 4, 3, 10, 0, 0, 0, time.UTC)
		b := newBook(1)
		b.take([]byte(text), now)
		if len(b.open)+len(b.closed) > strings.Count(text, "\n")+1 || b.octets > maxOctets {
			t.Fatalf("%d accounts", len(b.open)+len(b.closed))
		}
		b.fresh = true
		again, _ := b.write()
		c := newBook(1)
		if bad := c.take(again, now); bad != 0 || len(c.open) != len(b.open) || len(c.closed) != len(b.closed) || c.octets != b.octets {
			t.Fatalf("%s was taken back as %d, %d accounts, %d bad", again, len(c.open), len(c.closed), bad)
		}
	})
}
