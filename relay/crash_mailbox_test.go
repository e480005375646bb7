package relay_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tenma/relay/config"
	"tenma/relay/mail"
	"tenma/relay/policy/auth"
	"tenma/relay/relaytest"
	"tenma/relay/wire/smtp"
)

const crashPeople = `
[[domain]]
name = "ours.test"
[[alias]]
address = "team@ours.test"
to = ["ann@ours.test", "bob@ours.test"]
`

// TestPowerFailuresMailboxes cuts the power as TestPowerFailures does, while mail
// comes in for people here, some of it for others elsewhere too. However often a
// delivery is repeated, nobody here has anything twice: no message, nothing that
// another of ours forwards, no automatic reply, no DSN; and what was accepted is
// there. It fails without the keys of deliveries (package store) and of what is
// forwarded (package post).
func TestPowerFailuresMailboxes(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			dir := t.TempDir()
			conf := filepath.Join(dir, "relay.toml")
			if err := os.WriteFile(conf, []byte(crashConfig+crashPeople), 0o600); err != nil {
				t.Fatal(err)
			}
			moveIn(t, conf)
			synctest.Test(t, func(t *testing.T) {
				c := &crashedHome{T: t, w: relaytest.New(t, dir, crashZone), acked: map[string]bool{}}
				defer c.w.Close()
				c.run(conf, rand.New(rand.NewPCG(seed, 11)))
			})
		})
	}
}

// moveIn makes the accounts: fay forwards to ann and keeps, vic is away.
func moveIn(t *testing.T, conf string) {
	t.Helper()
	c, _, err := config.Load(conf)
	if err == nil {
		err = os.MkdirAll(c.DataDir, 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	c.Auth.Cost = auth.Cost{Memory: 64, Time: 1, Iterations: 4096}
	d, err := auth.Open(c.Auth)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range crashNames {
		a := smtp.Address{Local: name, Domain: "ours.test"}
		err := d.Add(a, "correct horse battery")
		if err == nil {
			err = d.Change(a, func(s *mail.Settings) error {
				switch name {
				case "fay":
					s.Forward, s.Keep = []smtp.Address{{Local: "ann", Domain: "ours.test"}}, true
				case "vic":
					s.Vacation = &mail.Vacation{Text: "Back on Monday.\n"}
				}
				return nil
			})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

var crashNames = []string{"ann", "bob", "fay", "vic"}

// crashCases are the messages in turn. has tells who of ours has what of them in
// the end: the message (-), an automatic reply (r), a DSN (d).
var crashCases = []struct {
	from string
	to   []string
	has  []string
}{
	{"a@src.test", []string{"ann@ours.test", "bob@ours.test", "c@good.test"}, []string{"ann-", "bob-"}},
	{"a@src.test", []string{"team@ours.test", "c@shaky.test", "fay@ours.test"}, []string{"ann-", "bob-", "fay-", "ann-"}},
	{"a@src.test", []string{"fay@ours.test"}, []string{"fay-", "ann-"}},
	{"ann+%d@ours.test", []string{"vic@ours.test", "bob@ours.test"}, []string{"vic-", "bob-", "annr"}},
	{"bob@ours.test", []string{"c@nobody.test", "ann@ours.test"}, []string{"ann-", "bobd"}},
}

type crashedHome struct {
	*testing.T
	w     *relaytest.World
	n     int
	mu    sync.Mutex
	acked map[string]bool // marks of messages with a 250
	left  int             // 250s until now is called
	now   func()
	late  bool // what gets a 250 from now on may not be on the disk that is left
}

func (c *crashedHome) run(conf string, random *rand.Rand) {
	c.w.Receive("mx.src.test", "203.0.113.1:25")
	c.w.Receive("mx.good.test", "203.0.113.2:25", "wait:dot=3ms")
	c.w.Receive("mx.shaky.test", "203.0.113.3:25", "tempfail=0.5")
	c.w.Receive("mx.nobody.test", "203.0.113.4:25", "unknown=1")
	for range 6 {
		c.w.Start(conf)
		synctest.Wait()
		// The power fails at a 250, when much is under way, or a little later, when
		// settlements wait for each other.
		fed, now := make(chan struct{}), make(chan struct{})
		c.left, c.now = 1+random.IntN(50), sync.OnceFunc(func() { close(now) })
		go func() { defer close(fed); c.feed() }()
		select {
		case <-now:
		case <-fed:
		}
		if random.IntN(2) == 0 {
			time.Sleep(time.Duration(random.ExpFloat64() * float64(10*time.Millisecond)))
		}
		c.setLate(true)
		c.w.Crash(random.IntN(3) * 50)
		<-fed
		c.setLate(false)
	}
	c.w.Start(conf)
	synctest.Wait()
	time.Sleep(2 * time.Hour)
	synctest.Wait()
	c.judge()
}

func (c *crashedHome) setLate(late bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.late = late
}

// feed hands in messages over 5 connections.
func (c *crashedHome) feed() {
	var wg sync.WaitGroup
	for range 5 {
		first := c.n
		c.n += 10
		wg.Go(func() {
			for i := first; i < first+10; i++ {
				kind := crashCases[i%len(crashCases)]
				mark := fmt.Sprintf("mark-%04d", i)
				from := strings.Replace(kind.from, "%d", fmt.Sprint(i), 1)
				text := "S: 220\nC: HELO x\nS: 250\nC: MAIL FROM:<" + from + ">\nS: 250\n"
				for _, to := range kind.to {
					text += "C: RCPT TO:<" + to + ">\nS: 250\n"
				}
				text += "C: DATA\nS: 354\nC: From: " + from + "\nC: To: " + strings.Join(kind.to, ", ") + "\nC: Subject: " + mark + "\nC:\nC: text\nC: .\nS: 250\n"
				if err := c.w.Dialogue(text); err != nil {
					return // the power is gone
				}
				c.mu.Lock()
				if !c.late {
					c.acked[mark] = true
				}
				if c.left--; c.left == 0 {
					c.now()
				}
				c.mu.Unlock()
			}
		})
	}
	wg.Wait()
}

var (
	crashMark  = regexp.MustCompile(`mark-\d{4}`)
	isReply    = regexp.MustCompile(`(?im)^Auto-Submitted: auto-replied`)
	isReport   = regexp.MustCompile(`(?im)^Content-Type: multipart/report`)
	headerOnly = regexp.MustCompile(`(?s)^.*?\r\n\r\n`)
)

// judge reads the mailboxes.
func (c *crashedHome) judge() {
	if len(c.acked) < 50 {
		c.Fatalf("only %d messages were accepted: nothing is shown", len(c.acked))
	}
	has := map[string]int{} // by mark, account and kind
	total := map[string]int{}
	for _, name := range crashNames {
		all, err := c.w.Mailbox(smtp.Address{Local: name, Domain: "ours.test"})
		if err != nil {
			c.Fatal(err)
		}
		for _, text := range all {
			kind := "-"
			switch head := headerOnly.FindString(text); {
			case isReport.MatchString(head):
				kind = "d"
			case isReply.MatchString(head):
				kind = "r"
			}
			has[crashMark.FindString(text)+name+kind]++
			total[kind]++
		}
	}
	for i := range c.n {
		mark := fmt.Sprintf("mark-%04d", i)
		want := map[string]int{}
		for _, what := range crashCases[i%len(crashCases)].has {
			want[what]++
		}
		for _, name := range crashNames {
			for _, kind := range []string{"-", "r", "d"} {
				n, most := has[mark+name+kind], want[name+kind]
				if n > most || c.acked[mark] && n < most {
					c.Errorf("%s (accepted: %v): %s has %d, want %d of kind %q", mark, c.acked[mark], name, n, most, kind)
				}
			}
		}
	}
	c.Logf("%d handed in, %d accepted, in the mailboxes: %v", c.n, len(c.acked), total)
}
