package relay_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tenma/bench/internet"
	"tenma/relay/config"
	"tenma/relay/policy/auth"
	"tenma/relay/relaytest"
	"tenma/relay/wire/dsn"
	"tenma/relay/wire/smtp"
)

// The behaviour table of RFC 3461 section 5.2: what a sender hears, and what the
// next hop is told, for each NOTIFY and RET, each next hop and each end that a
// message can come to. Every cell is one message through a whole relay.

// notifies are the values of NOTIFY; "" is none given.
var notifies = []string{
	"", "NEVER", "SUCCESS", "FAILURE", "DELAY", "SUCCESS,FAILURE", "SUCCESS,DELAY", "FAILURE,DELAY", "SUCCESS,FAILURE,DELAY",
}

var rets = []string{"", "HDRS", "FULL"}

// ends are what becomes of a message. Each has a domain for a next hop with DSN
// and one for a hop without, "plain".
var ends = []struct {
	name   string
	manner []string
	after  time.Duration // when the table looks, after the message came in
	// due says which actions the sender hears of, for a NOTIFY and a next hop.
	due func(n dsn.Notify, hop bool) []dsn.Action
	// status is that of the first DSN: a class, or a whole one.
	status string
	// said: the next hop took the message.
	arrives bool
}{
	{
		"taken", nil, time.Minute,
		func(n dsn.Notify, hop bool) []dsn.Action {
			if !hop && n&dsn.NotifySuccess != 0 { // 5.2.2 (b); with DSN the hop tells (5.2.1)
				return []dsn.Action{dsn.Relayed}
			}
			return nil // 5.2.2 (e)
		},
		"2.", true,
	},
	{"rcpt-refused", []string{"say:rcpt=550_5.1.1_no_such_user"}, time.Minute, failed, "5.1.1", false}, // 5.2.2 (c), (d), (f); 5.2.6
	{"mail-refused", []string{"say:mail=550_5.7.1_not_from_you"}, time.Minute, failed, "5.7.1", false},
	{"dot-refused", []string{"say:dot=554_5.6.0_bad_content"}, time.Minute, failed, "5.6.0", false},
	{
		"late",
		[]string{"say:rcpt=451_4.7.1_later"},
		5 * time.Hour,
		func(n dsn.Notify, _ bool) []dsn.Action {
			if n == 0 || n&dsn.NotifyDelay != 0 { // 5.2.5
				return []dsn.Action{dsn.Delayed}
			}
			return nil
		},
		"4.7.1", false,
	},
	{
		"expires",
		[]string{"say:rcpt=451_4.7.1_later"},
		30 * time.Hour,
		func(n dsn.Notify, hop bool) (all []dsn.Action) {
			if n == 0 || n&dsn.NotifyDelay != 0 {
				all = append(all, dsn.Delayed)
			}
			return append(all, failed(n, hop)...)
		},
		"4.", false,
	},
}

func failed(n dsn.Notify, _ bool) []dsn.Action {
	if n == 0 || n&dsn.NotifyFailure != 0 {
		return []dsn.Action{dsn.Failed}
	}
	return nil
}

func TestDSNTable(t *testing.T) {
	conf := strings.Replace(crashConfig, `"30s"`, `"40m"`, 1) + "delay_notice = \"4h\"\nexpire = \"24h\"\n"
	for _, end := range ends {
		for _, hop := range []string{"knows", "plain"} {
			t.Run(end.name+"-"+hop, func(t *testing.T) {
				dir := t.TempDir()
				path := filepath.Join(dir, "relay.toml")
				if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
					t.Fatal(err)
				}
				synctest.Test(t, func(t *testing.T) {
					w := relaytest.New(t, dir, crashZone)
					defer w.Close()
					manner := slices.Clone(end.manner)
					if hop == "plain" {
						manner = append(manner, "without=DSN")
					}
					w.Receive("mx.src.test", "203.0.113.1:25")
					w.Receive("mx.good.test", "203.0.113.2:25", manner...)
					w.Start(path)
					for cell := range len(notifies) * len(rets) {
						tableSend(t, w, cell)
					}
					time.Sleep(end.after)
					synctest.Wait()
					heard := tableHeard(t, w.Got("mx.src.test"))
					for cell := range len(notifies) * len(rets) {
						tableCell(t, cell, heard[cell], end.due(asked(cell), hop == "knows"), end.status)
						if end.arrives {
							tableTold(t, cell, w.Got("mx.good.test"), hop == "knows")
						}
					}
				})
			})
		}
	}
}

// A mailbox here (section 5.2.3): who asked for success hears "delivered", nobody
// else hears anything.
func TestDSNTableLocal(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "relay.toml")
	conf := crashConfig + "[[domain]]\nname = \"good.test\"\n"
	for cell := range len(notifies) * len(rets) {
		conf += fmt.Sprintf("[[alias]]\naddress = \"u%d@good.test\"\nto = [\"ann@good.test\"]\n", cell)
	}
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		w := relaytest.New(t, dir, crashZone)
		defer w.Close()
		w.Receive("mx.src.test", "203.0.113.1:25")
		tableMailbox(t, path)
		w.Start(path)
		for cell := range len(notifies) * len(rets) {
			tableSend(t, w, cell)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		heard := tableHeard(t, w.Got("mx.src.test"))
		for cell := range len(notifies) * len(rets) {
			_, _, name := cellOf(cell)
			var due []dsn.Action
			if asked(cell)&dsn.NotifySuccess != 0 {
				due = append(due, dsn.Delivered)
			}
			var actions []dsn.Action
			for _, h := range heard[cell] {
				actions = append(actions, h.report.Recipients[0].Action)
				if strings.Contains(h.text, "The whole text") {
					t.Errorf("%s: the whole message is returned", name)
				}
			}
			if !slices.Equal(actions, due) {
				t.Errorf("%s: the sender heard %v, due is %v", name, actions, due)
			}
		}
	})
}

// tableMailbox makes the one mailbox to which the addresses of all cells lead.
func tableMailbox(t *testing.T, path string) {
	t.Helper()
	c, _, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	d, err := auth.Open(c.Auth)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Add(smtp.Address{Local: "ann", Domain: "good.test"}, "correct-horse-battery"); err != nil {
		t.Fatal(err)
	}
}

// cellOf gives the parameters of a cell, and its name.
func cellOf(cell int) (notify, ret, name string) {
	notify, ret = notifies[cell/len(rets)], rets[cell%len(rets)]
	return notify, ret, fmt.Sprintf("NOTIFY=%s RET=%s", notify, ret)
}

// asked is the NOTIFY of a cell as a set.
func asked(cell int) dsn.Notify {
	n, _, _ := cellOf(cell)
	set, err := dsn.ParseNotify(n)
	if err != nil {
		return 0 // none given
	}
	return set
}

// tableSend sends the message of a cell.
func tableSend(t *testing.T, w *relaytest.World, cell int) {
	t.Helper()
	notify, ret, _ := cellOf(cell)
	mailArgs, rcptArgs := fmt.Sprintf(" ENVID=cell+2B%d", cell), fmt.Sprintf(" ORCPT=rfc822;Was+2B%d@good.test", cell)
	if ret != "" {
		mailArgs += " RET=" + ret
	}
	if notify != "" {
		rcptArgs += " NOTIFY=" + notify
	}
	if err := w.Dialogue(fmt.Sprintf("S: 220\nC: EHLO x\nS: 250\nC: MAIL FROM:<a@src.test>%s\nS: 250\nC: RCPT TO:<u%d@good.test>%s\nS: 250\n"+
		"C: DATA\nS: 354\nC: Subject: cell %d\nC:\nC: The whole text\nC: .\nS: 250\n", mailArgs, cell, rcptArgs, cell)); err != nil {
		t.Fatal(err)
	}
}

// heardDSN is a DSN as its receiver understands it.
type heardDSN struct {
	report *dsn.Report
	text   string
}

// tableHeard sorts DSNs by cell, in the order in which they came.
func tableHeard(t *testing.T, got []internet.Message) map[int][]heardDSN {
	t.Helper()
	heard := map[int][]heardDSN{}
	for _, m := range got {
		if m.From != "" { // RFC 3461 section 6.1
			t.Errorf("a DSN from %q", m.From)
		}
		if strings.Contains(m.MailArgs, "RET=") || strings.Contains(m.MailArgs, "ENVID=") || m.RcptArgs[0] != "NOTIFY=NEVER" { // section 6.1
			t.Errorf("a DSN with %q, %q", m.MailArgs, m.RcptArgs)
		}
		r := status(t, m.Data)
		var cell int
		if _, err := fmt.Sscanf(r.EnvelopeID, "cell+%d", &cell); err != nil {
			t.Fatalf("Original-Envelope-Id %q", r.EnvelopeID)
		}
		heard[cell] = append(heard[cell], heardDSN{r, string(m.Data)})
	}
	return heard
}

// status reads the second part of a DSN.
func status(t *testing.T, text []byte) *dsn.Report {
	t.Helper()
	_, part, ok := strings.Cut(string(text), "Content-Type: message/delivery-status\r\n")
	_, part, _ = strings.Cut(part, "\r\n\r\n")
	part, _, _ = strings.Cut(part, "\r\n--=_")
	r, err := dsn.Parse(strings.NewReader(part))
	if !ok || err != nil {
		t.Fatalf("no delivery-status: %v\n%s", err, text)
	}
	return r
}

// tableCell compares what was heard of a cell with what is due.
func tableCell(t *testing.T, cell int, heard []heardDSN, due []dsn.Action, code string) {
	t.Helper()
	_, ret, name := cellOf(cell)
	var actions []dsn.Action
	for _, h := range heard {
		if len(h.report.Recipients) != 1 {
			t.Errorf("%s: %d recipients", name, len(h.report.Recipients))
			return
		}
		r := h.report.Recipients[0]
		actions = append(actions, r.Action)
		original, final := fmt.Sprintf("Was+%d@good.test", cell), fmt.Sprintf("u%d@good.test", cell)
		if r.Original != (dsn.Typed{Kind: "rfc822", Text: original}) || r.Final != (dsn.Typed{Kind: "rfc822", Text: final}) { // section 6.3 (d), (e)
			t.Errorf("%s: %v, %v", name, r.Original, r.Final)
		}
		if r.RemoteMTA.Text != "mx.good.test" || r.Diagnostic.Kind != "smtp" { // (h), (i)
			t.Errorf("%s: %v, %v", name, r.RemoteMTA, r.Diagnostic)
		}
		if h.report.ReportingMTA != (dsn.Typed{Kind: "dns", Text: "relay.test"}) { // (b)
			t.Errorf("%s: %v", name, h.report.ReportingMTA)
		}
		// Section 6.2: the whole only on a failure, and only if RET=FULL.
		if whole := strings.Contains(h.text, "The whole text"); whole != (ret == "FULL" && r.Action == dsn.Failed) {
			t.Errorf("%s: %s returns the whole message: %v", name, r.Action, whole)
		}
		if !strings.Contains(h.text, fmt.Sprintf("Subject: cell %d\r\n", cell)) {
			t.Errorf("%s: %s does not return the header", name, r.Action)
		}
	}
	if !slices.Equal(actions, due) {
		t.Errorf("%s: the sender heard %v, due is %v", name, actions, due)
		return
	}
	if len(heard) > 0 && !strings.HasPrefix(heard[0].report.Recipients[0].Status.String(), code) {
		t.Errorf("%s: status %v", name, heard[0].report.Recipients[0].Status)
	}
}

// tableTold checks what the next hop was told (sections 5.2.1 and 5.2.2 (a)).
func tableTold(t *testing.T, cell int, got []internet.Message, hop bool) {
	t.Helper()
	notify, ret, name := cellOf(cell)
	for _, m := range got {
		if m.To[0] != fmt.Sprintf("u%d@good.test", cell) {
			continue
		}
		wantMail, wantRcpt := "", ""
		if hop {
			wantMail = fmt.Sprintf("ENVID=cell+2B%d", cell)
			if ret != "" {
				wantMail = "RET=" + ret + " " + wantMail
			}
			wantRcpt = fmt.Sprintf("ORCPT=rfc822;Was+2B%d@good.test", cell)
			if notify != "" {
				wantRcpt = "NOTIFY=" + notify + " " + wantRcpt
			}
		}
		var args []string
		for _, a := range strings.Fields(m.MailArgs) {
			if !strings.HasPrefix(a, "SIZE=") {
				args = append(args, a)
			}
		}
		if got := strings.Join(args, " "); got != wantMail || m.RcptArgs[0] != wantRcpt {
			t.Errorf("%s: the hop was told %q and %q, not %q and %q", name, got, m.RcptArgs[0], wantMail, wantRcpt)
		}
		return
	}
	t.Errorf("%s: nothing arrived", name)
}
