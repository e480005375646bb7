package mailbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tenma/relay/mail"
	"tenma/relay/mailbox/post/rules"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// town is a Resolver: aliases by name, "nobody" is nobody, all else of b.test is
// an account.
type town struct {
	aliases  map[string][]string
	settings map[string]mail.Settings
}

func (r *town) Resolve(a smtp.Address) []smtp.Address {
	var all []smtp.Address
	for _, to := range r.aliases[a.String()] {
		all = append(all, address(to))
	}
	if all == nil && a.Domain == "b.test" && a.Local != "nobody" {
		return []smtp.Address{a}
	}
	return all
}

func (r *town) Settings(a smtp.Address) (mail.Settings, bool) {
	return r.settings[a.String()], a.Domain == "b.test"
}

func (r *town) Accounts(fn func(smtp.Address) bool) {
	for name := range r.settings {
		if !fn(address(name)) {
			return
		}
	}
}

func address(s string) smtp.Address {
	a, err := smtp.ParseMailbox(s)
	if err != nil && s != "" {
		panic(err)
	}
	return a
}

// outgoing is an Outbox.
type outgoing struct {
	mu   sync.Mutex
	keys map[string]bool
	sent []sent
	err  error
}

type sent struct {
	e    *mail.Envelope
	text string
}

func (o *outgoing) Send(_ context.Context, key string, e *mail.Envelope, body io.WriterTo) error {
	var b strings.Builder
	if _, err := body.WriteTo(&b); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return o.err
	}
	if !o.keys[key] {
		o.keys[key] = true
		o.sent = append(o.sent, sent{e, string(e.Prefix) + b.String()})
	}
	return nil
}

// scene is a running store in a bubble, with people around it.
type scene struct {
	*Store
	t    *testing.T
	town *town
	out  *outgoing
	next byte
}

func inScene(t *testing.T, cfg Config, fn func(*scene)) {
	t.Helper()
	key := filepath.Join(t.TempDir(), "srs-key")
	synctest.Test(t, func(t *testing.T) {
		c := &scene{t: t, town: &town{aliases: map[string][]string{}, settings: map[string]mail.Settings{}}, out: &outgoing{keys: map[string]bool{}}}
		cfg.Dir, cfg.Hostname, cfg.SRSKeyPath = "/boxes", "mx.b.test", key
		s, err := New(cfg, Deps{Resolver: c.town, Outbox: c.out, FS: vfs.NewMem(), MemTable: 1 << 20, Bubble: true})
		if err != nil {
			t.Fatal(err)
		}
		c.Store = s
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		defer func() {
			stop()
			if err := errors.Join(<-ended, s.Close()); err != nil {
				t.Error(err)
			}
		}()
		fn(c)
	})
}

const letter = "From: bob@far.test\r\nTo: ann@b.test, team@b.test\r\nSubject: hello\r\nMessage-ID: <1@far.test>\r\n\r\n.\r\nDear \xff\r\n"

type stored struct{ *strings.Reader }

func (s stored) Size() int64 { return s.Reader.Size() }

func (stored) Close() error { return nil }

// attempt is the first try to bring text to recipients.
func (c *scene) attempt(text string, to ...string) *mail.Attempt {
	c.next++
	now := time.Now()
	a := &mail.Attempt{
		ID: spool.NewID(now, [10]byte{c.next}), Number: 1, Header: []byte("Received: here\r\n"),
		Envelope: &mail.Envelope{Sender: address("bob@far.test"), Received: now, Prefix: []byte("Received: here\r\n"), Size: int64(len(text) + 16)},
		Open:     func(context.Context) (spool.Body, error) { return stored{strings.NewReader(text)}, nil },
	}
	for i, r := range to {
		a.Envelope.Recipients = append(a.Envelope.Recipients, mail.Recipient{Address: address(r)})
		a.To = append(a.To, i)
	}
	return a
}

// deliver gives the replies to one attempt.
func (c *scene) deliver(a *mail.Attempt) string {
	c.t.Helper()
	var replies []string
	c.Deliver(c.t.Context(), a, func() *mail.Attempt { return nil }, func(of *mail.Attempt, outcomes []mail.Outcome) {
		for _, o := range outcomes {
			replies = append(replies, fmt.Sprint(o.Reply.Code, " ", o.Reply.Status))
			if of != a || o.Command != "LOCAL" || o.Host != "" || strings.Contains(o.Reply.Text, "/") {
				c.t.Errorf("outcome %+v", o)
			}
		}
	})
	return strings.Join(replies, ", ")
}

// send delivers and wants replies.
func (c *scene) send(a *mail.Attempt, want string) {
	c.t.Helper()
	if got := c.deliver(a); got != want {
		c.t.Errorf("replies %q, want %q", got, want)
	}
}

// inbox gives the messages of an account.
func (c *scene) inbox(account string) (all []string) {
	c.t.Helper()
	m, err := c.Open(account)
	if err != nil {
		c.t.Fatal(err)
	}
	defer m.Close()
	v, err := m.Select("INBOX", true)
	if err != nil {
		c.t.Fatal(err)
	}
	defer v.Close()
	for seq := 1; seq <= v.Len(); seq++ {
		content, err := v.Open(seq)
		if err != nil {
			c.t.Fatal(err)
		}
		var b strings.Builder
		if _, err := content.WriteTo(&b); err != nil {
			c.t.Fatal(err)
		}
		content.Close()
		all = append(all, b.String())
	}
	return all
}

const ok = "250 2.0.0"

func TestDeliver(t *testing.T) {
	inScene(t, Config{}, func(c *scene) {
		c.town.aliases["office@b.test"] = []string{"ann@b.test", "bob@b.test"}
		a := c.attempt(letter, "Ann@b.test", "office@b.test", "nobody@b.test")
		for range 2 { // a repeat doubles nothing
			c.send(a, ok+", "+ok+", 550 5.1.1")
		}
		for box, want := range map[string]int{"ann@b.test": 2, "bob@b.test": 1} {
			all := c.inbox(box)
			if len(all) != want {
				t.Errorf("%s has %d", box, len(all))
			}
			for _, got := range all {
				if !strings.EqualFold(got[:len(got)-len(letter)], "Return-Path: <bob@far.test>\r\nDelivered-To: "+box+"\r\nReceived: here\r\n") || !strings.HasSuffix(got, letter) {
					t.Errorf("%s: %q", box, got)
				}
			}
		}
		a = c.attempt(letter, "ann@b.test")
		a.Open = func(context.Context) (spool.Body, error) { return nil, spool.ErrNotFound }
		c.send(a, "451 4.3.0")
	})
}

// Many attempts of one call are under way at a time, each answered once; when
// the relay stops, those that were taken are finished.
func TestTakesOnWhatNextGives(t *testing.T) {
	inScene(t, Config{}, func(c *scene) {
		ctx, stop := context.WithCancel(c.t.Context())
		var mu sync.Mutex
		answered := map[*mail.Attempt]int{}
		taken := 0
		c.Deliver(ctx, c.attempt(letter, "ann@b.test"), func() *mail.Attempt {
			if taken++; taken > 100 {
				stop()
				return nil
			}
			return c.attempt(letter, "ann@b.test")
		}, func(a *mail.Attempt, o []mail.Outcome) {
			mu.Lock()
			defer mu.Unlock()
			answered[a]++
			if len(o) != 1 || o[0].Fate() != mail.Sent {
				t.Errorf("%+v", o)
			}
		})
		for _, n := range answered {
			if n != 1 {
				t.Errorf("answered %d times", n)
			}
		}
		if n := len(c.inbox("ann@b.test")); n != 101 || len(answered) != n {
			t.Errorf("%d messages, %d answers", n, len(answered))
		}
		c.Deliver(ctx, c.attempt(letter, "ann@b.test"), func() *mail.Attempt { t.Error("took more"); return nil }, func(_ *mail.Attempt, o []mail.Outcome) {
			if o[0].Fate() != mail.Sent {
				t.Error(o[0])
			}
		})
	})
}

func TestForward(t *testing.T) {
	inScene(t, Config{}, func(c *scene) {
		c.town.settings["ann@b.test"] = mail.Settings{Forward: []smtp.Address{address("ann@home.test")}}
		c.town.settings["carl@b.test"] = mail.Settings{Forward: []smtp.Address{address("carl@home.test")}, Keep: true}
		c.town.aliases["list@b.test"] = []string{"x@far.test", "carl@b.test"}
		a := c.attempt(letter, "ann@b.test", "list@b.test")
		a.Envelope.Recipients[0].Notify, a.Envelope.EnvID, a.Envelope.Account = mail.NotifySuccess, "e", "bob"
		a.Envelope.Recipients[1].Notify = mail.NotifySuccess
		for range 2 {
			c.send(a, ok+", "+ok)
		}
		if len(c.inbox("ann@b.test")) != 0 || len(c.inbox("carl@b.test")) != 1 || len(c.out.sent) != 3 {
			t.Fatalf("sent %+v", c.out.sent)
		}
		for i, by := range []string{"ann@b.test", "list@b.test", "carl@b.test"} {
			s := c.out.sent[i]
			if s.text != "Delivered-To: "+by+"\r\nReceived: here\r\n"+letter {
				t.Errorf("%q", s.text)
			}
			if back, err := c.Reverse(s.e.Sender); err != nil || back != address("bob@far.test") {
				t.Errorf("%s: %s, %v", s.e.Sender, back, err)
			}
			if s.e.EnvID != "e" || s.e.Account != "bob" || len(s.e.Recipients) != 1 || s.e.Recipients[0].Notify != []mail.Notify{mail.NotifySuccess, mail.NotifyNever, mail.NotifyNever}[i] ||
				s.e.Recipients[0].ORcpt != []string{"rfc822;ann@b.test", "rfc822;list@b.test", "rfc822;list@b.test"}[i] {
				t.Errorf("%+v", s.e)
			}
		}
		// It comes back: from the address that it was forwarded to, and as a DSN.
		c.send(c.attempt(c.out.sent[0].text, "ann@b.test"), "554 5.4.6")
		dsn := c.attempt("Subject: failed\r\n\r\n", c.out.sent[0].e.Sender.String())
		dsn.Envelope.Sender = smtp.Address{}
		c.send(dsn, ok)
		if s := c.out.sent[3]; !s.e.Sender.IsNull() || s.e.Recipients[0].Address != address("bob@far.test") {
			t.Errorf("%+v", s.e)
		}
		c.send(c.attempt(letter, "SRS0=AAAAAA=AA=far.test=bob@c.test"), "550 5.1.1")
		c.out.err = spool.ErrFull
		c.send(c.attempt(letter, "ann@b.test"), "452 4.3.1")
		c.out.err = nil
		c.town.aliases["any@c.test"] = []string{"any@c.test"} // as at a domain where only rewritten senders are
		c.send(c.attempt(letter, "any@c.test"), "550 5.1.1")
		time.Sleep((rules.SRSDays + 2) * day)
		if _, err := c.Reverse(c.out.sent[0].e.Sender); !errors.Is(err, rules.ErrExpired) {
			t.Error(err)
		}
	})
}

// A full mailbox keeps nothing from those to whom its mail, or that of an alias
// it shares with them, goes on as well; repeats double nothing.
func TestFullMailboxForwards(t *testing.T) {
	inScene(t, Config{Quota: 10_000}, func(c *scene) {
		c.town.settings["ann@b.test"] = mail.Settings{Forward: []smtp.Address{address("ann@home.test")}, Keep: true}
		c.town.aliases["list@b.test"] = []string{"carl@b.test", "x@far.test"}
		large := letter + strings.Repeat("x", 10_000)
		for range 2 {
			a := c.attempt(large, "ann@b.test", "list@b.test")
			c.send(a, "552 5.2.2, 552 5.2.2")
			c.send(a, "552 5.2.2, 552 5.2.2")
		}
		if len(c.out.sent) != 4 {
			t.Errorf("%d messages went on", len(c.out.sent))
		}
		c.out.err = spool.ErrFull // the mailbox has its copy all the same
		c.send(c.attempt(letter, "ann@b.test"), "452 4.3.1")
		if n := len(c.inbox("ann@b.test")); n != 1 {
			t.Errorf("%d messages in the mailbox", n)
		}
	})
}

func TestQuota(t *testing.T) {
	inScene(t, Config{Quota: 10_000, QuotaWarn: 80}, func(c *scene) {
		c.town.settings["carl@b.test"] = mail.Settings{Quota: -1}
		kilo := letter + strings.Repeat("x", 1000-len(letter)-16-50)
		c.send(c.attempt(strings.Repeat(kilo, 11), "ann@b.test", "carl@b.test"), "552 5.2.2, "+ok)
		n := 0
		for ; n < 20 && c.deliver(c.attempt(kilo, "ann@b.test", "carl@b.test")) == ok+", "+ok; n++ {
			warned := 0
			for _, m := range c.inbox("ann@b.test") {
				if strings.Contains(m, "Subject: Your mailbox is 8") {
					warned++
				}
			}
			if want := map[bool]int{true: 1}[n >= 7]; warned > 1 || n >= 8 && warned != 1 || n < 7 && warned != 0 {
				t.Errorf("%d warnings after %d messages, want %d", warned, n+1, want)
			}
		}
		if n < 7 || n > 9 {
			t.Errorf("%d messages fitted", n)
		}
		full := func() (n int) {
			for _, m := range c.inbox("ann@b.test") {
				if strings.Contains(m, "Subject: Your mailbox is full") {
					n++
				}
			}
			return n
		}
		c.send(c.attempt(kilo, "ann@b.test"), "452 4.2.2")
		c.send(c.attempt(kilo, "ann@b.test"), "452 4.2.2")
		if full() != 1 {
			t.Errorf("told %d times that it is full", full())
		}
		time.Sleep(25 * time.Hour)
		c.send(c.attempt(kilo, "ann@b.test"), "452 4.2.2")
		if full() != 2 {
			t.Errorf("told %d times that it is full on the next day", full())
		}
	})
}

func TestVacation(t *testing.T) {
	inScene(t, Config{}, func(c *scene) {
		c.town.settings["ann@b.test"] = mail.Settings{Vacation: &mail.Vacation{Text: "Away.\n"}}
		c.town.aliases["team@b.test"] = []string{"ann@b.test", "carl@b.test"}
		first := c.attempt(letter, "ann@b.test", "team@b.test")
		c.send(first, ok+", "+ok)
		if len(c.out.sent) != 1 {
			t.Fatalf("%d replies", len(c.out.sent))
		}
		s := c.out.sent[0]
		if !s.e.Sender.IsNull() || s.e.Recipients[0].Address != address("bob@far.test") || s.e.Recipients[0].Notify != mail.NotifyNever || s.e.Origin != mail.FromSelf {
			t.Errorf("%+v", s.e)
		}
		if !strings.Contains(s.text, "Auto-Submitted: auto-replied\r\n") || !strings.Contains(s.text, "In-Reply-To: <1@far.test>\r\n") || !strings.Contains(s.text, "From: <ann@b.test>\r\n") || !strings.HasSuffix(s.text, "\r\n\r\nAway.\r\n") {
			t.Errorf("%s", s.text)
		}
		c.send(first, ok+", "+ok)
		c.send(c.attempt(letter, "ann@b.test"), ok)
		time.Sleep(6 * day)
		c.send(c.attempt(letter, "ann@b.test"), ok)
		if len(c.out.sent) != 1 {
			t.Errorf("%d replies within a week", len(c.out.sent))
		}
		time.Sleep(2 * day)
		c.send(c.attempt(letter, "ann@b.test"), ok)
		if len(c.out.sent) != 2 {
			t.Errorf("%d replies after a week", len(c.out.sent))
		}
		other := c.attempt(letter, "ann@b.test")
		other.Envelope.Sender = address("zoe@far.test")
		c.out.err = spool.ErrFull // a reply that cannot be sent fails no delivery
		c.send(other, ok)
		other = c.attempt("List-Id: <x>\r\n"+letter, "ann@b.test")
		other.Envelope.Sender = address("zoe@far.test")
		c.out.err = nil
		c.send(other, ok)
		if len(c.out.sent) != 2 || len(c.inbox("ann@b.test")) != 7 {
			t.Errorf("%d replies, %d messages", len(c.out.sent), len(c.inbox("ann@b.test")))
		}
	})
}

// The key of rewritten senders is nobody else's, and stays what it is.
func TestSRSKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "srs-key")
	var senders []string
	for range 2 {
		c := Config{SRSKeyPath: path, Dir: "/boxes"}
		s, err := New(c, Deps{Resolver: &town{}, FS: vfs.NewMem(), MemTable: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Reverse(address("SRS0=AAAAAA=AA=far.test=bob@b.test"))
		if !errors.Is(err, rules.ErrNotSRS) {
			t.Error(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		senders = append(senders, string(text))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || senders[0] != senders[1] || len(senders[0]) != 2*rules.KeySize+1 {
		t.Errorf("%v, %q, %v", info.Mode(), senders, err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
	if err := os.WriteFile(path, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{SRSKeyPath: path, Dir: "/boxes"}, Deps{Resolver: &town{}, FS: vfs.NewMem(), MemTable: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Reverse(address("SRS0=AAAAAA=AA=far.test=bob@b.test")); err == nil || errors.Is(err, rules.ErrNotSRS) {
		t.Error(err)
	}
}

// BenchmarkDeliver brings 4 KiB messages into one mailbox on the disk, by as
// many runs as a lane of the queue has.
func BenchmarkDeliver(b *testing.B) {
	s, err := New(Config{Dir: b.TempDir()}, Deps{Resolver: &town{}})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	text := letter + strings.Repeat("All work and no play makes Jack a dull boy.\r\n", 90)
	var mu sync.Mutex
	n := 0
	next := func() *mail.Attempt {
		mu.Lock()
		defer mu.Unlock()
		if n == b.N {
			return nil
		}
		n++
		var r [10]byte
		copy(r[:], fmt.Sprintf("%010d", n))
		return &mail.Attempt{
			ID: spool.NewID(time.Now(), r), Number: 1, Header: []byte("Received: here\r\n"), To: []int{0},
			Envelope: &mail.Envelope{Sender: address("bob@far.test"), Size: int64(len(text) + 16), Prefix: []byte("Received: here\r\n"), Recipients: []mail.Recipient{{Address: address("ann@b.test")}}},
			Open:     func(context.Context) (spool.Body, error) { return stored{strings.NewReader(text)}, nil },
		}
	}
	b.ResetTimer()
	var runs sync.WaitGroup
	for range 10 {
		runs.Go(func() {
			if a := next(); a != nil {
				s.Deliver(ctx, a, next, func(_ *mail.Attempt, o []mail.Outcome) {
					if o[0].Fate() != mail.Sent {
						b.Error(o[0])
					}
				})
			}
		})
	}
	runs.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
	stop()
	if err := errors.Join(<-ended, s.Close()); err != nil {
		b.Error(err)
	}
}

// A domain of its own for rewritten senders is theirs alone.
func TestSRSDomain(t *testing.T) {
	inScene(t, Config{SRSDomain: "srs.b.test"}, func(c *scene) {
		c.town.settings["ann@b.test"] = mail.Settings{Forward: []smtp.Address{address("ann@home.test")}}
		c.send(c.attempt(letter, "ann@b.test"), ok)
		sender := c.out.sent[0].e.Sender
		if back, err := c.Reverse(sender); sender.Domain != "srs.b.test" || err != nil || back != address("bob@far.test") {
			c.t.Errorf("%s: %s, %v", sender, back, err)
		}
		sender.Domain = "b.test"
		if back, err := c.Reverse(sender); err == nil {
			c.t.Errorf("%s leads to %s", sender, back)
		}
		own := c.attempt(letter, "ann@b.test")
		own.Envelope.Sender = address("carl@b.test")
		c.send(own, ok)
		if got := c.out.sent[1].e.Sender; got != own.Envelope.Sender {
			c.t.Errorf("a sender of ours became %s", got)
		}
	})
}
