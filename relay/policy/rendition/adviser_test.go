package rendition_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"tenma/relay/mail"
	"tenma/relay/policy/rendition"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// signer signs with a number.
type signer struct {
	mu    sync.Mutex
	calls int
	saw   []string
	err   error
	never bool
}

func (s *signer) Wants(*mail.Envelope) bool { return !s.never }

func (s *signer) Sign(_ context.Context, e *mail.Envelope, body io.Reader) ([]byte, error) {
	text, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	s.calls++
	s.saw = append(s.saw, string(e.Prefix)+string(text))
	return fmt.Appendf(nil, "DKIM-Signature: %d\r\n", s.calls), nil
}

type stored struct{ *bytes.Reader }

func (stored) Close() error { return nil }

func attempt(n byte, text string) *mail.Attempt {
	prefix := "Received: by relay.test\r\n"
	return &mail.Attempt{
		ID:       spool.ID{n},
		Envelope: &mail.Envelope{Prefix: []byte(prefix), EightBit: true},
		Header:   []byte("DKIM-Signature: usual\r\n" + prefix),
		Open:     func(context.Context) (spool.Body, error) { return stored{bytes.NewReader([]byte(text))}, nil },
	}
}

const german = "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nSchöne Grüße aus dem Allgäu.\r\n"

// read gives header and body of a rendition as a host gets them.
func read(t *testing.T, r mail.Rendition) string {
	t.Helper()
	body, err := r.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	var text bytes.Buffer
	if n, err := body.WriteTo(&text); err != nil || n != body.Size() {
		t.Errorf("%d octets of %d: %v", n, body.Size(), err)
	}
	return string(r.Header) + text.String()
}

// A rendition is in ASCII, and its signature covers exactly what follows it.
func TestSevenBit(t *testing.T) {
	s := &signer{}
	a := rendition.New(rendition.Config{}, rendition.Deps{Signer: s})
	r, err := a.SevenBit(t.Context(), attempt(1, german))
	if err != nil {
		t.Fatal(err)
	}
	got := read(t, r)
	want := "DKIM-Signature: 1\r\nReceived: by relay.test\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n" +
		"Content-Transfer-Encoding: quoted-printable\r\n\r\nSch=C3=B6ne Gr=C3=BC=C3=9Fe aus dem Allg=C3=A4u.\r\n"
	if got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if len(s.saw) != 1 || s.saw[0] != strings.TrimPrefix(want, "DKIM-Signature: 1\r\n") {
		t.Errorf("signed was %q", s.saw)
	}
}

// However many hosts want it, a message is signed once.
func TestSignedOnce(t *testing.T) {
	s := &signer{}
	a := rendition.New(rendition.Config{}, rendition.Deps{Signer: s})
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			r, err := a.SevenBit(t.Context(), attempt(byte(i%5), german))
			if err != nil || !bytes.HasPrefix(r.Header, []byte("DKIM-Signature: ")) {
				t.Errorf("%q, %v", r.Header, err)
			}
		})
	}
	wg.Wait()
	if s.calls != 5 {
		t.Errorf("5 messages were signed %d times", s.calls)
	}
}

// What passes already stays as it is, signature included.
func TestPasses(t *testing.T) {
	s := &signer{}
	a := rendition.New(rendition.Config{}, rendition.Deps{Signer: s})
	r, err := a.SevenBit(t.Context(), attempt(1, "Subject: x\r\n\r\nplain\r\n"))
	if err != nil || s.calls != 0 {
		t.Fatalf("%d signatures, %v", s.calls, err)
	}
	if got := string(r.Header); got != "DKIM-Signature: usual\r\nReceived: by relay.test\r\n" {
		t.Errorf("%q", got)
	}
}

func TestRefused(t *testing.T) {
	foreign := "DKIM-Signature: v=1\r\n" + german
	for _, c := range []struct {
		why, text string
		config    rendition.Config
		signer    *signer
		want      string
	}{
		{"a foreign signature breaks", foreign, rendition.Config{}, &signer{}, ""},
		{"a foreign signature is kept", foreign, rendition.Config{KeepSignatures: true}, &signer{}, "554 5.6.3"},
		{"nobody signed", german, rendition.Config{KeepSignatures: true}, &signer{never: true}, ""},
		{"it cannot be converted", "From: <ö@b.test>\r\n\r\nä\r\n", rendition.Config{}, &signer{}, "554 5.6.3"},
		{"a key cannot be used", german, rendition.Config{}, &signer{err: errors.New("no key")}, "451 4.7.5"},
	} {
		a := rendition.New(c.config, rendition.Deps{Signer: c.signer})
		for range 2 {
			r, err := a.SevenBit(t.Context(), attempt(1, c.text))
			got := ""
			if e, ok := errors.AsType[*smtp.Error](err); ok {
				got = fmt.Sprintf("%d %s", e.Reply.Code, e.Reply.Status)
			} else if err != nil {
				got = err.Error()
			}
			if got != c.want || got != "" && r.Open != nil {
				t.Errorf("%s: %q, want %q", c.why, got, c.want)
			}
		}
	}
}

// What cannot be read has to wait, and is looked at anew.
func TestUnreadable(t *testing.T) {
	a := rendition.New(rendition.Config{}, rendition.Deps{})
	broken := attempt(1, german)
	broken.Open = func(context.Context) (spool.Body, error) { return nil, errors.New("no disk") }
	_, err := a.SevenBit(t.Context(), broken)
	if e, ok := errors.AsType[*smtp.Error](err); !ok || !e.Reply.Temporary() {
		t.Errorf("%v", err)
	}
	if _, err := a.SevenBit(t.Context(), attempt(1, german)); err != nil {
		t.Error(err)
	}
}

// Only the last thousand are remembered; the oldest is signed again.
func TestForgets(t *testing.T) {
	s := &signer{}
	a := rendition.New(rendition.Config{}, rendition.Deps{Signer: s})
	ask := func(n int) {
		at := attempt(0, german)
		at.ID = spool.ID{byte(n), byte(n >> 8)}
		if _, err := a.SevenBit(t.Context(), at); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 1025 {
		ask(n)
	}
	ask(1024)
	if s.calls != 1025 {
		t.Errorf("signed %d times", s.calls)
	}
	if ask(0); s.calls != 1026 {
		t.Errorf("signed %d times after the oldest was asked for", s.calls)
	}
}

// Long lines are converted where nothing speaks against it; else, and where it is
// set so, the message stays as it is. It is told apart from the 7-bit form of the
// same message.
func TestShortLines(t *testing.T) {
	wide := strings.Repeat("x", 1200) + "\r\n"
	for _, c := range []struct {
		why, text string
		config    rendition.Config
		usual     bool
	}{
		{"long lines", "Subject: x\r\n\r\nsch\xc3\xb6n\r\n" + wide, rendition.Config{}, false},
		{"they are kept", "Subject: x\r\n\r\n" + wide, rendition.Config{KeepLongLines: true}, true},
		{"others signed", "DKIM-Signature: v=1\r\n\r\n" + wide, rendition.Config{}, true},
		{"it cannot be converted", "Content-Type: message/partial\r\n\r\n" + wide, rendition.Config{}, true},
		{"there are none", "Subject: x\r\n\r\nsch\xc3\xb6n\r\n", rendition.Config{}, true},
	} {
		s := &signer{}
		a := rendition.New(c.config, rendition.Deps{Signer: s})
		if _, err := a.SevenBit(t.Context(), attempt(1, german)); err != nil {
			t.Fatal(err)
		}
		at := attempt(1, c.text)
		r, err := a.ShortLines(t.Context(), at)
		if err != nil {
			t.Errorf("%s: %v", c.why, err)
			continue
		}
		got := read(t, r)
		if usual := got == string(at.Header)+c.text; usual != c.usual {
			t.Errorf("%s: %.200q", c.why, got)
		}
		if !c.usual && (!strings.HasPrefix(got, "DKIM-Signature: 2\r\n") || strings.Contains(got, wide)) {
			t.Errorf("%s: %.200q", c.why, got)
		}
	}
	a := rendition.New(rendition.Config{}, rendition.Deps{Signer: &signer{err: errors.New("no key")}})
	if _, err := a.ShortLines(t.Context(), attempt(1, "Subject: x\r\n\r\n"+wide)); err == nil {
		t.Error("it went out unsigned")
	}
}
