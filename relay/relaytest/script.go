package relaytest

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
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
//	zone FILE                        another zone from now on (the first is the file "zone");
//	                                 KEY(RECEIVER) in it is the SHA-256 of the receiver's key
//	start [FILE]                     start the relay; default "relay.toml"
//	drain / crash                    drain it / cut its power
//	smtp [-from A] [-to A:P] FILE    a dialogue, see World.Dialogue
//	imap, pop3 [-tls] [-from A] [-to A:P] FILE
//	                                 a mail program, see World.Program; what it hears goes to stdout
//	log                              the relay's program log to stdout
//	send [-n N] FROM TO[,TO...] FILE a message by SMTP, or N of them
//	return [-about A] RECEIVER FROM TO FILE
//	                                 a message about the last one that RECEIVER took (for A); TO "" is
//	                                 its reverse path; {path}, {header} and {id} in it stand for that,
//	                                 the header and the Message-ID
//	later DURATION                   let time pass
//	got RECEIVER N                   it has taken N messages; their texts go to stdout
//	maillog [-json]                  the mail log to stdout, a line an event, or as it is
//	queue                            the queue to stdout, a line a recipient, or "empty"
//	retry, hold, release, delete [TO] what an operator does, to all messages or to those for TO;
//	                                 the number of messages goes to stdout
//	dns FAULT [TYPE] NAME            DNS is ok, servfail, silent, refused, insecure, lame, garbage or (by
//	                                 UDP) truncated about a name
//	dnssec on|off                    what DNS answers is validated
//	policy DOMAIN ADDRESS [FILE]     the MTA-STS policy of a domain at its web server; none without FILE
//	metric NAME                      its values go to stdout
//	disk full|free                   the spool's disk
//	user ADDRESS PASSWORD            an account, before start
//	settings ADDRESS KEY=VALUE...    of an account: forward, keep, vacation, quota,
//	                                 pop3-days, send-as
//	key DOMAIN SELECTOR ALGORITHM    a DKIM key in keys/SELECTOR.pem and the DNS, before start
//	verify RECEIVER                  a line to stdout for each DKIM signature and ARC chain it got
//	mailbox ADDRESS N                the account has N messages; their texts go to stdout
//	explain TARGET [TENANT]          what the relay tells of a domain or address: fate and
//	                                 reply, then a line a step
//	suppress SUBJECT [TENANT [CAMPAIGN]] an operator puts an address or domain on the suppression list
//	click RECEIVER [get]             follow the links to unsubscribe that it got, as a program
//	                                 does, or only look; a line to stdout for each message
//	suppressed [held]                the list to stdout, a line an entry
//	filter ADDRESS [ANSWER...]       a mail filter, and what it says at the end of each message
//	                                 (milter packets; _ is a space, | a zero octet, @@@1 an index); none: it goes away
//	http PATH                        GET from 127.0.0.1:8080; status and body to stdout
//
// The relay listens on 127.0.0.1:2525 (and a story that wants them on :2143 for
// IMAP and :2110 for POP3) and finds DNS at DNSServer.
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
		"collector": cmdCollector,
		"reports":   cmdReports,
		"zone": func(ts *testscript.TestScript, neg bool, args []string) {
			need(ts, neg, args, 1)
			ts.Check(world(ts).DNS.SetZone(world(ts).withKeys(ts.ReadFile(args[0]))))
		},
		"start": cmdStart,
		"drain": func(ts *testscript.TestScript, neg bool, _ []string) { ts.Check(world(ts).Stop()) },
		"crash": func(ts *testscript.TestScript, neg bool, _ []string) { world(ts).Crash(0) },
		"smtp":  cmdSMTP,
		"imap":  cmdProgram("imap"),
		"pop3":  cmdProgram("pop3"),
		"log":   cmdLog,
		"send":  cmdSend,
		"later": func(ts *testscript.TestScript, neg bool, args []string) {
			need(ts, neg, args, 1)
			d, err := time.ParseDuration(args[0])
			ts.Check(err)
			time.Sleep(d) // the bubble's clock, not the wall's
			synctest.Wait()
		},
		"return":  cmdReturn,
		"got":     cmdGot,
		"maillog": cmdMailLog,
		"queue":   cmdQueue,
		"retry":   operate((*queue.Queue).Retry),
		"hold":    operate((*queue.Queue).Hold),
		"release": operate((*queue.Queue).Release),
		"delete":  operate((*queue.Queue).Delete),
		"dns":     cmdDNS,
		"dnssec": func(ts *testscript.TestScript, neg bool, args []string) {
			need(ts, neg, args, 1)
			world(ts).DNS.Secure(args[0] == "on")
		},
		"policy":   cmdPolicy,
		"metric":   cmdMetric,
		"disk":     cmdDisk,
		"user":     cmdUser,
		"settings": cmdSettings,
		"key":      cmdKey,
		"verify":   cmdVerify,
		"mailbox":  cmdMailbox,
		"explain":  cmdExplain,
		"filter":   cmdFilter,
		"http":     cmdHTTP,

		"suppress":   cmdSuppress,
		"suppressed": cmdSuppressed,
		"click":      cmdClick,
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
	synctest.Wait()
}
