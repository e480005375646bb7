package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"tenma/cmd/tenma/cli"
	"tenma/relay/admin"
	"tenma/relay/mail"
	"tenma/relay/queue"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

func TestMain(m *testing.M) {
	testscript.Main(tidy{m}, map[string]func(){"tenma": main})
}

// tidy runs the tests and then what they left to do.
type tidy struct{ m *testing.M }

func (t tidy) Run() int {
	code := t.m.Run()
	for _, f := range atEnd {
		f()
	}
	return code
}

// atEnd are called when all tests have run.
var atEnd []func()

// TestScripts runs the stories of testdata/script, each in a directory of its
// own, with a relay's HTTP side at $URL whose token lies in $TOKEN and whose
// queue holds $FIRST and $SECOND.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			token := filepath.Join(env.WorkDir, ".token")
			s := admin.New(admin.Config{Listeners: []admin.Listener{{Address: "127.0.0.1:0"}}, TokenPath: token}, admin.Deps{Queue: &fakeQueue{}, Explain: fakeExplain})
			if err := s.Listen(); err != nil {
				return err
			}
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- s.Run(ctx) }()
			env.Defer(func() {
				cancel()
				<-done
			})
			env.Setenv("URL", "http://"+s.Addrs()[0].String())
			env.Setenv("TOKEN", token)
			env.Setenv("FIRST", first.String())
			env.Setenv("SECOND", second.String())
			env.Setenv("TZ", "UTC")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"code": exitCode},
	})
}

// exitCode runs the program and checks its exit code: code 2 tenma foo.
func exitCode(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	var exit interface{ ExitCode() int }
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	}
	if want := args[0]; fmt.Sprint(got) != want {
		ts.Fatalf("exit code %d, want %s", got, want)
	}
}

var (
	first  = spool.NewID(time.Unix(1_700_000_000, 0), [10]byte{1})
	second = spool.NewID(time.Unix(1_700_000_060, 0), [10]byte{2})
)

// fakeExplain tells one step, with text that a stranger chose.
func fakeExplain(_ context.Context, target, _ string) (admin.Explanation, error) {
	if target == "odd.test" {
		return admin.Explanation{}, errors.New("odd.test is too odd")
	}
	return admin.Explanation{
		Target: target, Live: true, Fate: "deliver", Lane: "default->mx.rcpt.test",
		Steps: []admin.ExplainedStep{{Step: "queue", Found: "1 deferred", Why: "last reply: \x1b[31mlater\a"}},
	}, nil
}

// fakeQueue holds two messages; one waits after an ugly reply, one is held.
type fakeQueue struct{}

func (*fakeQueue) act(_ context.Context, f queue.Filter) (int, error) {
	n := 0
	for _, id := range f.IDs {
		if id == first || id == second {
			n++
		}
	}
	if len(f.IDs) == 0 {
		n = 2
	}
	return n, nil
}

func (q *fakeQueue) Retry(ctx context.Context, f queue.Filter) (int, error) { return q.act(ctx, f) }

func (q *fakeQueue) Delete(ctx context.Context, f queue.Filter) (int, error) { return q.act(ctx, f) }

func (q *fakeQueue) Hold(ctx context.Context, f queue.Filter) (int, error) { return q.act(ctx, f) }

func (q *fakeQueue) Release(ctx context.Context, f queue.Filter) (int, error) { return q.act(ctx, f) }

func (*fakeQueue) Summary(context.Context) (queue.Summary, error) {
	return queue.Summary{Messages: 2, Deferred: 1, Lanes: []queue.LaneSummary{{Lane: "default->mx.rcpt.test", Deferred: 1, Oldest: first.Time(), LastReply: "mx.rcpt.test: 451 later"}, {Lane: "?other.test", Resting: time.Now().Add(12*time.Second + 900*time.Millisecond), Since: time.Now().Add(-4 * time.Minute)}}}, nil
}

func (*fakeQueue) messages() []queue.Message {
	e := &mail.Envelope{
		Sender: smtp.Address{Local: "ann", Domain: "sender.test"}, Received: first.Time(), Size: 123456, Subject: "hello",
		Recipients: []mail.Recipient{{Address: smtp.Address{Local: "bob", Domain: "rcpt.test"}}, {Address: smtp.Address{Local: "eve", Domain: "rcpt.test"}}},
	}
	waiting := mail.RecipientState{Fate: mail.Deferred, Attempts: 3, Due: time.Unix(1_700_003_600, 0), Reply: smtp.Reply{Code: 451, Text: "\x1b[31mlater\a"}, Host: "mx.rcpt.test"}
	return []queue.Message{
		{ID: first, Envelope: e, State: &mail.State{Recipients: []mail.RecipientState{waiting, waiting}}},
		{ID: second, Envelope: &mail.Envelope{Received: second.Time(), Recipients: e.Recipients[:1]}, State: &mail.State{Held: true}},
	}
}

func (q *fakeQueue) List(_ context.Context, f queue.Filter) ([]queue.Message, error) {
	all := q.messages()
	if f.After == first {
		all = all[1:]
	}
	if f.Domain == "nobody.test" || f.After == second {
		all = nil
	}
	return all[:min(len(all), f.Limit)], nil
}

func (q *fakeQueue) Show(_ context.Context, id spool.ID) (queue.Message, error) {
	for _, m := range q.messages() {
		if m.ID == id {
			return m, nil
		}
	}
	return queue.Message{}, spool.ErrNotFound
}

// What is printed of strangers' text cannot steer a terminal.
func TestClean(t *testing.T) {
	if got := cli.Clean("a\x1b[31mb\nc\x07\u009bd\u202ee\xffé伝"); got != "a?[31mb c??d?e?é伝" {
		t.Errorf("%q", got)
	}
}

func TestPasswordLine(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]string{"hush\n": "hush", "two words \r\nsecond line": "two words ", "": "", "\n": "", "bad\xff\n": ""} {
		path := filepath.Join(dir, "pw")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := (&cli.Console{}).Password(path)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}
