package relaytest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"tenma/relay/queue"
)

// RunScripts runs each story of dir in a bubble and a world of its own. A
// story is a testscript archive; besides testscript's own commands it has
//
//	receiver NAME ADDRESS [WORD...]  a host that takes mail, or its new manner
//	blackhole ADDRESS [off]          connections to there hang
//	zone FILE                        another zone from now on (the first is the file "zone")
//	start [FILE]                     start the relay; default "relay.toml"
//	drain / crash                    drain it / cut its power
//	smtp FILE                        a dialogue: lines "C: ..." are sent, "S: REGEXP" awaited
//	send FROM TO[,TO...] FILE        one message by SMTP
//	later DURATION                   let time pass
//	got RECEIVER N                   it has taken N messages; their texts go to stdout
//	maillog                          the mail log to stdout, a line an event
//	queue                            the queue to stdout, a line a recipient, or "empty"
//	retry                            "retry now" for all
//
// The relay listens on 127.0.0.1:2525 and finds DNS at DNSServer.
func RunScripts(t *testing.T, dir string) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories in %s: %v", dir, err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txtar"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				testscript.RunT(inline{t}, testscript.Params{Files: []string{f}, Cmds: commands(), Setup: setup, Condition: nil})
			})
		})
	}
}

// inline runs testscript's subtest in the bubble's own goroutine, where the
// testing package allows none.
type inline struct{ *testing.T }

func (i inline) Run(_ string, f func(testscript.T)) { f(i) }
func (i inline) Parallel()                          {}
func (i inline) Verbose() bool                      { return testing.Verbose() }

type worldKey struct{}

func setup(env *testscript.Env) error {
	zone, err := os.ReadFile(filepath.Join(env.WorkDir, "zone"))
	if err != nil {
		return err
	}
	w := New(envTB{env}, env.WorkDir, string(zone))
	log, err := os.Create(filepath.Join(env.WorkDir, "program.log"))
	if err != nil {
		return err
	}
	w.Log = log
	env.Values[worldKey{}] = w
	env.Defer(func() { w.Close(); log.Close() })
	return nil
}

// envTB gives a World the testing interface of a script that is being set up.
type envTB struct{ env *testscript.Env }

func (e envTB) Helper()                           {}
func (e envTB) Fatalf(format string, args ...any) { e.env.T().Fatal(fmt.Sprintf(format, args...)) }
func (e envTB) Logf(format string, args ...any)   { e.env.T().Log(fmt.Sprintf(format, args...)) }

func world(ts *testscript.TestScript) *World { return ts.Value(worldKey{}).(*World) }

type command = func(ts *testscript.TestScript, neg bool, args []string)

func commands() map[string]command {
	return map[string]command{
		"receiver": func(ts *testscript.TestScript, neg bool, args []string) {
			need(ts, neg, args, 2)
			world(ts).Receive(args[0], args[1], args[2:]...)
		},
		"blackhole": func(ts *testscript.TestScript, neg bool, args []string) {
			need(ts, neg, args, 1)
			a, err := netip.ParseAddr(args[0])
			ts.Check(err)
			world(ts).Net.Blackhole(a, len(args) == 1)
		},
		"zone": func(ts *testscript.TestScript, neg bool, args []string) {
			need(ts, neg, args, 1)
			ts.Check(world(ts).DNS.SetZone(ts.ReadFile(args[0])))
		},
		"start": cmdStart,
		"drain": func(ts *testscript.TestScript, neg bool, _ []string) { ts.Check(world(ts).Stop()) },
		"crash": func(ts *testscript.TestScript, neg bool, _ []string) { world(ts).Crash(0) },
		"smtp":  cmdSMTP,
		"send":  cmdSend,
		"later": func(ts *testscript.TestScript, neg bool, args []string) {
			need(ts, neg, args, 1)
			d, err := time.ParseDuration(args[0])
			ts.Check(err)
			time.Sleep(d) // the bubble's clock, not the wall's
			synctest.Wait()
		},
		"got":     cmdGot,
		"maillog": cmdMailLog,
		"queue":   cmdQueue,
		"retry": func(ts *testscript.TestScript, neg bool, _ []string) {
			_, err := world(ts).Relay().Queue().Retry(context.Background(), queue.Filter{All: true})
			ts.Check(err)
			time.Sleep(time.Second)
			synctest.Wait()
		},
	}
}

func need(ts *testscript.TestScript, neg bool, args []string, n int) {
	if neg || len(args) < n {
		ts.Fatalf("this command takes at least %d arguments and no !", n)
	}
}

const defaultConfig = `
hostname = "relay.test"
data_dir = "data"
[[listen]]
protocol = "smtp"
address = "127.0.0.1:2525"
tls = "off"
relay_from = ["127.0.0.0/8"]
[dns]
servers = ["` + DNSServer + `"]
`

func cmdStart(ts *testscript.TestScript, neg bool, args []string) {
	path := ts.MkAbs("relay.toml")
	if len(args) > 0 {
		path = ts.MkAbs(args[0])
	} else if _, err := os.Stat(path); err != nil {
		ts.Check(os.WriteFile(path, []byte(defaultConfig), 0o600))
	}
	world(ts).Start(path)
}

func cmdSend(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 3)
	var b strings.Builder
	fmt.Fprintf(&b, "S: 220\nC: EHLO client.test\nS: 250\nC: MAIL FROM:<%s>\nS: 250\n", args[0])
	for to := range strings.SplitSeq(args[1], ",") {
		fmt.Fprintf(&b, "C: RCPT TO:<%s>\nS: 250\n", to)
	}
	b.WriteString("C: DATA\nS: 354\n")
	for line := range strings.Lines(ts.ReadFile(args[2])) {
		line = strings.TrimRight(line, "\r\n")
		if strings.HasPrefix(line, ".") {
			line = "." + line
		}
		b.WriteString("C: " + line + "\n")
	}
	b.WriteString("C: .\nS: 250\nC: QUIT\nS: 221\n")
	ts.Check(world(ts).Dialogue(b.String()))
}

func cmdSMTP(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1)
	ts.Check(world(ts).Dialogue(ts.ReadFile(args[0])))
}

// Dialogue talks to the relay as text says: "C: ..." is sent with CRLF, "S:
// REGEXP" must match the beginning of the next reply line (further lines of
// the same reply are passed over), "S: EOF" is the end. Lines without either
// are comments.
func (w *World) Dialogue(text string) error {
	c, err := w.Net.Dial(w.ctx, netip.Addr{}, netip.MustParseAddrPort("127.0.0.1:2525"))
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Hour))
	in := bufio.NewReader(c)
	for n := 0; text != ""; n++ {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		if send, ok := strings.CutPrefix(line, "C: "); ok || line == "C:" {
			if _, err := c.Write([]byte(send + "\r\n")); err != nil {
				return fmt.Errorf("line %d: %w", n+1, err)
			}
		} else if want, ok := strings.CutPrefix(line, "S: "); ok {
			if err := expect(in, want); err != nil {
				return fmt.Errorf("line %d: %w", n+1, err)
			}
		}
	}
	return nil
}

func expect(in *bufio.Reader, want string) error {
	re, err := regexp.Compile("^" + want)
	if err != nil {
		return err
	}
	matched, all := false, []string{}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			if want == "EOF" {
				return nil
			}
			return fmt.Errorf("want %q: %w", want, err)
		}
		line = strings.TrimRight(line, "\r\n")
		matched = matched || re.MatchString(line)
		all = append(all, line)
		if len(line) < 4 || line[3] != '-' {
			break
		}
	}
	if !matched {
		return fmt.Errorf("want %q, got %q", want, all)
	}
	return nil
}

func cmdGot(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2)
	synctest.Wait()
	got := world(ts).Got(args[0])
	for _, m := range got {
		fmt.Fprintf(ts.Stdout(), "MAIL FROM:<%s> %s\n", m.From, m.MailArgs)
		for i, to := range m.To {
			fmt.Fprintf(ts.Stdout(), "RCPT TO:<%s> %s\n", to, m.RcptArgs[i])
		}
		fmt.Fprintf(ts.Stdout(), "%s\n", strings.ReplaceAll(string(m.Data), "\r\n", "\n"))
	}
	if fmt.Sprint(len(got)) != args[1] {
		ts.Fatalf("%s took %d messages, want %s", args[0], len(got), args[1])
	}
}

// cmdMailLog prints one line an event: kind, recipient, attempt, reply.
func cmdMailLog(ts *testscript.TestScript, neg bool, _ []string) {
	synctest.Wait()
	text, err := world(ts).MailLog()
	ts.Check(err)
	for line := range strings.Lines(text) {
		var r struct {
			Type, Sender string
			Recipient    any
			Attempts     int `json:"num_attempts"`
			Response     struct {
				Code     int
				Enhanced *struct{ Class, Subject, Detail int } `json:"enhanced_code"`
				Content  string
				Command  string
			}
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			ts.Fatalf("%q: %v", line, err)
		}
		enhanced := "-"
		if e := r.Response.Enhanced; e != nil {
			enhanced = fmt.Sprintf("%d.%d.%d", e.Class, e.Subject, e.Detail)
		}
		fmt.Fprintf(ts.Stdout(), "%s from=<%s> to=<%v> attempt=%d %s: %d %s %s\n", r.Type, r.Sender, r.Recipient, r.Attempts,
			r.Response.Command, r.Response.Code, enhanced, r.Response.Content)
	}
}

func cmdQueue(ts *testscript.TestScript, neg bool, _ []string) {
	synctest.Wait()
	list, err := world(ts).Relay().Queue().List(context.Background(), queue.Filter{All: true, Limit: 1000})
	ts.Check(err)
	if len(list) == 0 {
		fmt.Fprintln(ts.Stdout(), "empty")
	}
	for _, m := range list {
		for i, r := range m.State.Recipients {
			fmt.Fprintf(ts.Stdout(), "%s attempts=%d %s\n", m.Envelope.Recipients[i].Address, r.Attempts, r.Fate)
		}
	}
}
