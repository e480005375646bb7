package relaytest

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing/synctest"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"tenma/bench/internet"
	"tenma/dnscache/dnstest"
	"tenma/relay/config"
	"tenma/relay/policy/auth"
	keys "tenma/relay/policy/dkim"
	"tenma/relay/queue"
	"tenma/relay/wire/smtp"
)

func cmdDNS(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2)
	faults := map[string]dnstest.Fault{
		"ok": dnstest.None, "servfail": dnstest.ServFail, "silent": dnstest.Silence, "refused": dnstest.Refuse,
		"truncated": dnstest.Truncate, "lame": dnstest.Lame, "garbage": dnstest.Garbage,
	}
	m := dnstest.Manner{Insecure: args[0] == "insecure"}
	var ok bool
	if m.Fault, ok = faults[args[0]]; !ok && !m.Insecure {
		ts.Fatalf("no fault %q", args[0])
	}
	world(ts).DNS.Misbehave(strings.Join(args[1:], " "), m)
}

func cmdDisk(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1)
	world(ts).DiskFull(args[0] == "full")
	time.Sleep(2 * time.Second) // the spool asks once a second at most
}

func cmdUser(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2)
	c, _, err := config.Load(ts.MkAbs("relay.toml"))
	ts.Check(err)
	ts.Check(os.MkdirAll(c.DataDir, 0o700))
	d, err := auth.Open(c.Auth)
	ts.Check(err)
	a, err := smtp.ParseMailbox(args[0])
	ts.Check(err)
	ts.Check(d.Add(a, args[1]))
}

func cmdKey(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 3)
	path := ts.MkAbs(filepath.Join("keys", args[1]+".pem"))
	key, err := keys.Generate(args[2], 0, path)
	ts.Check(err)
	record, err := keys.Record(key.Public())
	ts.Check(err)
	world(ts).keys[keys.Name(args[1], smtp.Domain(args[0]))] = []string{record}
}

func cmdMailbox(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2)
	synctest.Wait()
	a, err := smtp.ParseMailbox(args[0])
	ts.Check(err)
	all, err := world(ts).Mailbox(a)
	ts.Check(err)
	for _, text := range all {
		fmt.Fprintf(ts.Stdout(), "%s\n", strings.ReplaceAll(text, "\r\n", "\n"))
	}
	if fmt.Sprint(len(all)) != args[1] {
		ts.Fatalf("mailbox %s holds %d messages, want %s", args[0], len(all), args[1])
	}
}

// cmdExplain prints what the running relay explains.
func cmdExplain(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1)
	synctest.Wait()
	w := world(ts)
	x, err := w.Relay().Explain(w.ctx, args[0], strings.Join(args[1:], ""))
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%s %s\n", x.Fate, x.Reply)
	for _, s := range x.Steps {
		fmt.Fprintf(ts.Stdout(), "%s: %s (%s)\n", s.Step, s.Found, s.Why)
	}
}

// cmdHTTP prints status and body of the answer.
func cmdHTTP(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1)
	status, body := world(ts).ask(ts, http.MethodGet, args[0], "")
	fmt.Fprintf(ts.Stdout(), "%d\n%s\n", status, body)
	synctest.Wait()
}

// operate makes a command of one of the queue's operations. Without an
// argument it means all messages, else those to that recipient.
func operate(do func(q *queue.Queue, ctx context.Context, f queue.Filter) (int, error)) command {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		f := queue.Filter{All: len(args) == 0}
		if len(args) > 0 {
			f.Recipient = args[0]
		}
		n, err := do(world(ts).Relay().Queue(), context.Background(), f)
		ts.Check(err)
		fmt.Fprintln(ts.Stdout(), n)
		time.Sleep(time.Second)
		synctest.Wait()
	}
}

func cmdSend(ts *testscript.TestScript, neg bool, args []string) {
	flags := flag.NewFlagSet("send", flag.ContinueOnError)
	n := flags.Int("n", 1, "")
	ts.Check(flags.Parse(args))
	args = flags.Args()
	need(ts, neg, args, 3)
	var b strings.Builder
	b.WriteString("S: 220\nC: EHLO client.test\nS: 250\n")
	for range *n {
		fmt.Fprintf(&b, "C: MAIL FROM:<%s>\nS: 250\n", args[0])
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
		b.WriteString("C: .\nS: 250\n")
	}
	b.WriteString("C: QUIT\nS: 221\n")
	ts.Check(world(ts).Dialogue(b.String()))
}

func cmdSMTP(ts *testscript.TestScript, neg bool, args []string) {
	flags := flag.NewFlagSet("smtp", flag.ContinueOnError)
	var as Client
	flags.TextVar(&as.From, "from", netip.Addr{}, "")
	flags.TextVar(&as.To, "to", netip.AddrPort{}, "")
	ts.Check(flags.Parse(args))
	need(ts, neg, flags.Args(), 1)
	ts.Check(world(ts).DialogueAs(as, ts.ReadFile(flags.Arg(0))))
}

func cmdGot(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2)
	synctest.Wait()
	got := world(ts).Got(args[0])
	for _, m := range got {
		printMessage(ts.Stdout(), &m)
	}
	if fmt.Sprint(len(got)) != args[1] {
		ts.Fatalf("%s took %d messages, want %s", args[0], len(got), args[1])
	}
}

func printMessage(w io.Writer, m *internet.Message) {
	fmt.Fprintf(w, "VIA tls=%t bdat=%t user=%s\n", m.TLS, m.Chunking, m.User)
	fmt.Fprintf(w, "MAIL FROM:<%s> %s\n", m.From, m.MailArgs)
	for i, to := range m.To {
		fmt.Fprintf(w, "RCPT TO:<%s> %s\n", to, m.RcptArgs[i])
	}
	fmt.Fprintf(w, "%s\n", strings.ReplaceAll(string(m.Data), "\r\n", "\n"))
}

// cmdMailLog prints one line an event: kind, sender, recipient, attempt, reply,
// how it got there, and whose it is.
func cmdMailLog(ts *testscript.TestScript, neg bool, args []string) {
	synctest.Wait()
	text, err := world(ts).MailLog()
	ts.Check(err)
	if len(args) > 0 && args[0] == "-json" {
		fmt.Fprint(ts.Stdout(), text)
		return
	}
	for line := range strings.Lines(text) {
		var r struct {
			Type, Sender, Detail string
			Class                string `json:"bounce_classification"`
			Severity             string `json:"bounce_severity"`
			Recipient            any
			Attempts             int                         `json:"num_attempts"`
			Peer                 struct{ Name, Addr string } `json:"peer_address"`
			TLS                  string                      `json:"tls_protocol_version"`
			Verified             bool                        `json:"tls_verified"`
			Meta                 struct{ Tenant string }
			Response             struct {
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
		whose := ""
		if r.Meta.Tenant != "" {
			whose = " tenant=" + r.Meta.Tenant
		}
		fmt.Fprintf(ts.Stdout(), "%s from=<%s> to=<%v> attempt=%d %s: %d %s %s; peer=%s tls=%s verified=%t %s class=%s %s%s\n", r.Type, r.Sender, r.Recipient,
			r.Attempts, r.Response.Command, r.Response.Code, enhanced, strings.ReplaceAll(r.Response.Content, "\n", "|"), r.Peer.Name, r.TLS, r.Verified, r.Detail, r.Class, r.Severity, whose)
	}
}

func cmdQueue(ts *testscript.TestScript, neg bool, _ []string) {
	synctest.Wait()
	list, err := world(ts).Relay().Queue().List(context.Background(), queue.Filter{All: true, Limit: 10_000})
	ts.Check(err)
	if len(list) == 0 {
		fmt.Fprintln(ts.Stdout(), "empty")
	}
	for _, m := range list {
		for i, r := range m.State.Recipients {
			held := ""
			if m.State.Held {
				held = " held"
			}
			fmt.Fprintf(ts.Stdout(), "%s attempts=%d %s%s\n", m.Envelope.Recipients[i].Address, r.Attempts, r.Fate, held)
		}
	}
}
