package dkim

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// The domain that signs is the one that DMARC counts: that of From itself, or the
// nearest above it within the organization.
func TestAligned(t *testing.T) {
	r := newRig(t)
	path := r.config.Keys[1].Path
	for _, d := range []smtp.Domain{"news.example.test", "other.test", "co.uk", "test"} {
		r.config.Keys = append(r.config.Keys, Key{Domain: d, Selector: "e2", Path: path})
	}
	var log bytes.Buffer
	s, err := New(r.config, Deps{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ why, from, sender, want string }{
		{"the very domain", "a@example.test", "other.test", "example.test"},
		{"the very domain, though one above has a key", "a@news.example.test", "", "news.example.test"},
		{"the nearest above", "a@x.y.news.example.test", "", "news.example.test"},
		{"of the same organization", "a@www.example.test", "", "example.test"},
		{"another organization under the same suffix", "a@bank.co.uk", "", ""},
		{"and under an unknown one", "a@bank.test", "", ""},
		{"a suffix that has a key itself", "a@co.uk", "", "co.uk"},
		{"the second of two authors", "a@bank.test, b@example.test", "other.test", "example.test"},
		{"none but the sender", "a@bank.test", "other.test", "other.test"},
		{"the author's display name", "\"x@other.test\" <a@example.test>", "", "example.test"},
		{"no author", "", "other.test", "other.test"},
		{"nobody", "a@bank.test", "shop.test", ""},
	} {
		e := &mail.Envelope{Trusted: true, From: c.from}
		if c.sender != "" {
			e.Sender = smtp.Address{Local: "s", Domain: smtp.Domain(c.sender)}
		}
		sig, err := s.Sign(t.Context(), e, strings.NewReader("From: "+c.from+"\r\nSubject: x\r\n\r\nx\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		if c.want == "" && len(sig) > 0 || c.want != "" && !strings.Contains(string(sig), "d="+c.want+";") {
			t.Errorf("%s: %s", c.why, sig)
		}
		if len(sig) > 0 && !s.Wants(e) {
			t.Errorf("%s: signed, yet Wants said no", c.why)
		}
	}
	if n := strings.Count(log.String(), "DMARC does not count"); n != 1 || !strings.Contains(log.String(), "from=bank.test signed=other.test") {
		t.Errorf("told %d times:\n%s", n, log.String())
	}
	for range 3 {
		e := &mail.Envelope{Trusted: true, From: "a@bank.test", Sender: smtp.Address{Local: "s", Domain: "other.test"}}
		if _, err := s.Sign(t.Context(), e, strings.NewReader("From: a@bank.test\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(log.String(), "DMARC does not count"); n != 1 {
		t.Errorf("told %d times of one domain", n)
	}
}
