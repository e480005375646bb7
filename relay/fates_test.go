package relay_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tenma/dnscache/dnstest"
	"tenma/relay/relaytest"
	"tenma/relay/wire/dsn"
)

const fatesZone = `
src.test.    300 IN MX 10 mx.src.test.
mx.src.test. 300 IN A 203.0.113.1
one.test.    300 IN MX 10 mx.one.test.
mx.one.test. 300 IN A 203.0.113.11
two.test.    300 IN MX 10 mx1.two.test.
two.test.    300 IN MX 20 mx2.two.test.
mx1.two.test. 300 IN A 203.0.113.21
mx1.two.test. 300 IN AAAA 2001:db8::21
mx2.two.test. 300 IN A 203.0.113.22
even.test.   300 IN MX 10 mx1.even.test.
even.test.   300 IN MX 10 mx2.even.test.
mx1.even.test. 300 IN A 203.0.113.31
mx2.even.test. 300 IN A 203.0.113.32
null.test.   300 IN MX 0 .
inside.test. 300 IN MX 10 in.inside.test.
in.inside.test. 300 IN A 192.168.1.1
sick.test.   300 IN MX 10 mx.one.test.
`

const fatesConfig = `
hostname = "relay.test"
data_dir = "data"
[[listen]]
protocol = "smtp"
address = "127.0.0.1:2525"
tls = "off"
relay_from = ["127.0.0.0/8"]
[dns]
servers = ["203.0.113.53:53"]
[delivery]
retry = ["5m", "10m", "20m"]
expire = "5h"
delay_notice = "1h"
batch_recipients = 3
`

// TestFates mixes everything that can happen to a recipient: hosts that say
// anything anywhere, hang up and refuse to talk, several hosts of a domain, names
// that do not resolve, NOTIFY of all kinds. Whatever it is, each recipient comes
// to exactly one end, is told of once in the log, and in a DSN exactly where one
// is due; the log agrees with what the hosts did; and the queue is empty.
func TestFates(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { fates(t, seed) })
		})
	}
}

// addressee is a recipient of the test, whose address no other has.
type addressee struct {
	address, notify string // NOTIFY; "" for none
	sender          string // "" for null
}

func fates(t *testing.T, seed uint64) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "relay.toml")
	if err := os.WriteFile(conf, []byte(fatesConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	w := relaytest.New(t, dir, fatesZone)
	defer w.Close()
	w.DNS.Misbehave("sick.test", dnstest.Manner{Fault: dnstest.ServFail})
	w.Receive("mx.src.test", "203.0.113.1:25")
	hosts := newFickle(seed)
	defer hosts.stop()
	for _, at := range []string{"203.0.113.11", "203.0.113.21", "203.0.113.22", "203.0.113.31", "203.0.113.32"} {
		l, err := w.Net.Listen("tcp", at+":25")
		if err != nil {
			t.Fatal(err)
		}
		hosts.serve(l)
	}
	w.Start(conf)
	random := rand.New(rand.NewPCG(seed, 11))
	all := map[string]addressee{}
	for n := range 40 {
		text, to := mixture(random, n)
		if err := w.Dialogue(text); err != nil {
			t.Fatal(err)
		}
		for _, a := range to {
			all[a.address] = a
		}
		time.Sleep(time.Duration(random.IntN(90)) * time.Second)
	}
	time.Sleep(12 * time.Hour)
	synctest.Wait()
	log, err := w.MailLog()
	if err != nil {
		t.Fatal(err)
	}
	lives := livesOf(t, log)
	told := toldBy(t, w)
	kinds := map[string]int{}
	for _, a := range all {
		l, d := lives[a.address], told[a.address]
		checkLife(t, hosts, a, l)
		checkDSNs(t, hosts, a, l, d)
		kinds[l.end]++
		kinds["dsn"] += d[dsn.Failed]
		kinds["delay"] += d[dsn.Delayed]
		kinds["success"] += d[dsn.Relayed]
	}
	for address := range told {
		if _, ours := all[address]; !ours {
			t.Errorf("a DSN about %s, who got nothing", address)
		}
	}
	summary, err := w.Relay().Queue().Summary(t.Context())
	if err != nil || summary.Messages != 0 {
		t.Errorf("%d messages are left in the queue, %v", summary.Messages, err)
	}
	for _, kind := range []string{"Delivery", "Bounce", "Expiration", "dsn", "delay", "success"} {
		if kinds[kind] == 0 {
			t.Errorf("no %s in the mixture: %v", kind, kinds)
		}
	}
	t.Logf("%d recipients: %v", len(all), kinds)
}

// mixture is the dialogue of message n.
func mixture(random *rand.Rand, n int) (string, []addressee) {
	domains := []string{"one.test", "one.test", "two.test", "two.test", "even.test", "null.test", "nowhere.test", "inside.test", "sick.test"}
	notify := []string{"", "", "", "NEVER", "SUCCESS", "FAILURE", "DELAY", "SUCCESS,FAILURE", "SUCCESS,FAILURE,DELAY"}
	sender := fmt.Sprintf("s%d@src.test", n)
	if random.IntN(8) == 0 {
		sender = ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "S: 220\nC: EHLO client.test\nS: 250\nC: MAIL FROM:<%s>\nS: 250\n", sender)
	var to []addressee
	for i := range 1 + random.IntN(6) {
		a := addressee{fmt.Sprintf("r%d-%d@%s", n, i, domains[random.IntN(len(domains))]), notify[random.IntN(len(notify))], sender}
		to = append(to, a)
		words := ""
		if a.notify != "" {
			words = " NOTIFY=" + a.notify
		}
		fmt.Fprintf(&b, "C: RCPT TO:<%s>%s\nS: 250\n", a.address, words)
	}
	fmt.Fprintf(&b, "C: DATA\nS: 354\nC: Subject: %d\nC:\nC: text\nC: .\nS: 250\nC: QUIT\nS: 221\n", n)
	return b.String(), to
}

// life is what the log has of a recipient.
type life struct {
	end      string // the record of its end
	ends     int
	after    int // records behind the end
	delayed  int // records that a delay was told
	attempts []int
	late     bool // deferred when an hour had passed
	over     bool // its end came when an hour had passed
	reply    int  // of the end
}

func livesOf(t *testing.T, log string) map[string]*life {
	all := map[string]*life{}
	for line := range strings.Lines(log) {
		var r struct {
			Type      string
			Recipient any
			Sender    string
			Attempts  int `json:"num_attempts"`
			Timestamp int64
			Created   int64
			Response  struct{ Code int }
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		address, one := r.Recipient.(string)
		if r.Type == "Reception" || !one || strings.HasSuffix(address, "@src.test") {
			continue
		}
		l := all[address]
		if l == nil {
			l = &life{}
			all[address] = l
		}
		if l.ends > 0 {
			l.after++
		}
		switch r.Type {
		case "Delivery", "Bounce", "Expiration":
			l.end, l.reply, l.over = r.Type, r.Response.Code, r.Timestamp-r.Created >= 3600
			l.ends++
		case "Delayed":
			l.delayed++
			continue
		case "TransientFailure":
			l.late = l.late || r.Timestamp-r.Created >= 3600
		default:
			t.Errorf("%s: a record %s", address, r.Type)
		}
		if r.Type != "Expiration" || len(l.attempts) == 0 || l.attempts[len(l.attempts)-1] != r.Attempts {
			l.attempts = append(l.attempts, r.Attempts)
		}
	}
	return all
}

// toldBy counts what the DSNs at mx.src.test say, by recipient and action.
func toldBy(t *testing.T, w *relaytest.World) map[string]map[dsn.Action]int {
	told := map[string]map[dsn.Action]int{}
	for _, m := range w.Got("mx.src.test") {
		_, part, ok := strings.Cut(string(m.Data), "Content-Type: message/delivery-status")
		_, part, _ = strings.Cut(part, "\r\n\r\n")
		part, _, _ = strings.Cut(part, "\r\n--")
		if m.From != "" || len(m.To) != 1 || !ok {
			t.Errorf("this is no DSN: from <%s> to %v", m.From, m.To)
			continue
		}
		report, err := dsn.Parse(strings.NewReader(part))
		if err != nil {
			t.Errorf("a DSN cannot be read: %v", err)
			continue
		}
		for _, r := range report.Recipients {
			if want := fmt.Sprintf("s%s@src.test", strings.TrimPrefix(strings.Split(r.Final.Text, "-")[0], "r")); m.To[0] != want {
				t.Errorf("%s hears of %s", m.To[0], r.Final.Text)
			}
			if told[r.Final.Text] == nil {
				told[r.Final.Text] = map[dsn.Action]int{}
			}
			told[r.Final.Text][r.Action]++
		}
	}
	return told
}

// checkLife: one end, in accord with what the hosts did.
func checkLife(t *testing.T, hosts *fickle, a addressee, l *life) {
	t.Helper()
	if l == nil || l.ends != 1 || l.after != 0 {
		t.Fatalf("%s: not one end: %+v", a.address, l)
	}
	for i, n := range l.attempts {
		if n != i+1 {
			t.Errorf("%s: attempts %v", a.address, l.attempts)
			break
		}
	}
	hosts.mu.Lock()
	taken, refused := hosts.taken[a.address], hosts.refused[a.address] || a.sender != "" && hosts.refused[a.sender]
	hosts.mu.Unlock()
	_, domain, _ := strings.Cut(a.address, "@")
	never := slices.Contains([]string{"null.test", "nowhere.test", "inside.test"}, domain)
	switch {
	case (l.end == "Delivery") != (taken == 1):
		t.Errorf("%s: %s, and was taken %d times", a.address, l.end, taken)
	case l.end == "Bounce" && !refused && !never:
		t.Errorf("%s: bounced with %d, and nobody refused it", a.address, l.reply)
	case never && l.end != "Bounce":
		t.Errorf("%s: %s of a domain that takes no mail", a.address, l.end)
	case domain == "sick.test" && l.end != "Expiration":
		t.Errorf("%s: %s of a domain whose DNS does not answer", a.address, l.end)
	case hosts.refused[a.address] && l.end != "Bounce":
		t.Errorf("%s: %s though a host refused it for good", a.address, l.end)
	}
}

// checkDSNs: exactly where they are due (RFC 3461 section 4.1).
func checkDSNs(t *testing.T, hosts *fickle, a addressee, l *life, told map[dsn.Action]int) {
	t.Helper()
	wants := func(what string) bool {
		return a.sender != "" && (a.notify == "" && what != "SUCCESS" || strings.Contains(a.notify, what))
	}
	due := map[dsn.Action]int{}
	if l.end != "Delivery" && wants("FAILURE") {
		due[dsn.Failed] = 1
	}
	hosts.mu.Lock()
	passedOn := hosts.passedOn[a.address]
	hosts.mu.Unlock()
	if l.end == "Delivery" && wants("SUCCESS") && !passedOn { // else the next hop tells (RFC 3461 section 5.2.2)
		due[dsn.Relayed] = 1
	}
	// Without a try after the hour it is told where others of the message are, or
	// where it waits for long.
	if wants("DELAY") && (l.late || l.over && l.delayed > 0) {
		due[dsn.Delayed] = 1
	}
	for _, action := range []dsn.Action{dsn.Failed, dsn.Relayed, dsn.Delayed, dsn.Delivered, dsn.Expanded} {
		if told[action] != due[action] {
			t.Errorf("%s (NOTIFY=%s, from <%s>, %s): %d DSNs say %s, due are %d", a.address, a.notify, a.sender, l.end, told[action], action, due[action])
		}
	}
	if l.delayed != due[dsn.Delayed] {
		t.Errorf("%s: the log has %d notices of delay, due are %d", a.address, l.delayed, due[dsn.Delayed])
	}
}
