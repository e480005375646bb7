package relay_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tenma/dnscache/dnstest"
	"tenma/relay/config"
	"tenma/relay/queue"
	"tenma/relay/relaytest"
	"tenma/spool"
)

var (
	soakSeeds = flag.Uint64("soak.seeds", 3, "how many seeds TestSoak runs")
	soakFirst = flag.Uint64("soak.first", 1, "the first seed of TestSoak")
	soakLog   = flag.String("soak.log", "", "file for the relay's program log")
)

// TestSoak lets some days of everything at random pass over a relay: mail with
// many recipients, hosts that change their manner, go silent or move, DNS that
// fails, operators who hold, release, retry and delete, drains, and for every
// other seed power failures. Then the weather clears, and the books must balance
// (soak.audit). A seed does not repeat the order of goroutines, so a failure may
// take several runs to come back; go test -run Soak -soak.seeds 300 takes minutes.
func TestSoak(t *testing.T) {
	for seed := *soakFirst; seed < *soakFirst+*soakSeeds; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				s := &soak{T: t, random: rand.New(rand.NewPCG(seed, 99)), conf: filepath.Join(dir, "relay.toml"), crashing: seed%2 == 0}
				s.run(dir)
			})
		})
	}
}

const (
	soakDomains = 6
	soakRounds  = 40
	soakExpire  = 8 * time.Hour
)

type soak struct {
	*testing.T
	random   *rand.Rand
	w        *relaytest.World
	conf     string
	crashing bool // power failures happen
	crashes  int
	verbs    sync.WaitGroup // operators at work
	feeds    sync.WaitGroup // clients at work
	sent     int

	mu    sync.Mutex
	owed  map[string]string // recipient with a 250, and the sender
	maybe map[string]string // handed in, and the answer was lost
}

// zone gives each domain one host or two, at random.
func (s *soak) zone() string {
	var b strings.Builder
	b.WriteString("src.test. 300 IN MX 10 mx.src.test.\nmx.src.test. 300 IN A 203.0.113.1\n")
	for i := range soakDomains {
		fmt.Fprintf(&b, "mx%d.test. 60 IN A 203.0.113.%d\n", i, 10+i)
		fmt.Fprintf(&b, "d%d.test. 60 IN MX 10 mx%d.test.\n", i, s.random.IntN(soakDomains))
		if s.random.IntN(3) == 0 {
			fmt.Fprintf(&b, "d%d.test. 60 IN MX 20 mx%d.test.\n", i, s.random.IntN(soakDomains))
		}
	}
	return b.String()
}

func (s *soak) run(dir string) {
	s.owed, s.maybe = map[string]string{}, map[string]string{}
	s.configure()
	s.w = relaytest.New(s.T, dir, s.zone())
	defer s.w.Close()
	if *soakLog != "" {
		f, err := os.Create(*soakLog)
		if err != nil {
			s.Fatal(err)
		}
		defer f.Close()
		s.w.Log = f
	}
	s.calm()
	s.w.Start(s.conf)
	synctest.Wait()
	for range soakRounds {
		s.round()
	}
	s.verbs.Wait()
	s.feeds.Wait()
	s.calm()
	if _, err := s.w.Relay().Queue().Release(s.Context(), queue.Filter{All: true}); err != nil {
		s.Error("release:", err)
	}
	time.Sleep(2 * soakExpire) // DSNs have a life of their own
	synctest.Wait()
	s.audit()
}

// configure writes a configuration with narrow limits.
func (s *soak) configure() {
	text := crashConfig[:strings.Index(crashConfig, "[delivery]")] + fmt.Sprintf(`
[[listen]]
protocol = "http"
address = "127.0.0.1:8080"
[delivery]
retry = ["30s", "5m", "40m"]
expire = %q
delay_notice = "1h"
lane_connections = %d
lane_ready = %d
connection_messages = %d
batch_recipients = %d
shards = %d
`, soakExpire, 1+s.random.IntN(4), 1+s.random.IntN(8), 1+s.random.IntN(20), 1+s.random.IntN(4), 1+s.random.IntN(4))
	// Some domains share a smarthost, until the next configuration.
	for i := range soakDomains {
		if s.random.IntN(3) == 0 {
			text += fmt.Sprintf("[[route]]\ndomain = \"d%d.test\"\nto = \"smtp://mx0.test:25\"\n", i)
		}
	}
	if err := os.WriteFile(s.conf, []byte(text), 0o600); err != nil {
		s.Fatal(err)
	}
}

// reload puts another configuration in force while the relay runs.
func (s *soak) reload() {
	s.configure()
	c, _, err := config.Load(s.conf)
	if err == nil {
		err = s.w.Relay().Reload(c)
	}
	if err != nil {
		s.Error("reload:", err)
	}
}

// calm makes everything work.
func (s *soak) calm() {
	s.w.Receive("mx.src.test", "203.0.113.1:25")
	for i := range soakDomains {
		s.w.Receive(fmt.Sprintf("mx%d.test", i), fmt.Sprintf("203.0.113.%d:25", 10+i))
		s.w.Net.Blackhole(netip.AddrFrom4([4]byte{203, 0, 113, byte(10 + i)}), false)
		s.w.DNS.Misbehave(fmt.Sprintf("d%d.test", i), dnstest.Manner{})
	}
	s.w.Net.SetLatency(0)
	s.w.DiskFull(false)
}

// manners are what may come over a host.
var manners = []string{
	"", "", "", "wait:dot=2s", "wait:rcpt=300ms wait:dot=50ms", "tempfail=0.3", "tempfail=1", "unknown=0.4", "greylist=6m",
	"say:connect=421_4.3.2_no", "say:connect=drop", "say:ehlo=drop", "say:mail=451_4.3.0_later", "say:mail=drop",
	"say:rcpt=451_4.7.1_later", "say:rcpt=drop", "say:rcpt=stall", "say:rcpt=421_4.3.2_bye", "say:data=drop", "say:data=stall",
	"say:data=550_5.7.1_no", "say:dot=drop", "say:dot=stall", "say:dot=554_5.7.1_spam", "say:dot=421_4.3.2_bye",
	"max-connections=1", "max-recipients=2", "without=PIPELINING", "without=CHUNKING", "without=PIPELINING without=CHUNKING tempfail=0.3",
	"helo-only", "size=2000", "tls", "tls-broken", "say:starttls=454_4.7.0_no tls",
}

func (s *soak) round() {
	if s.random.IntN(3) == 0 {
		s.w.DiskFull(false)
	}
	host := s.random.IntN(soakDomains)
	switch s.random.IntN(17) {
	case 0, 1, 2, 3:
		s.w.Receive(fmt.Sprintf("mx%d.test", host), "", strings.Fields(manners[s.random.IntN(len(manners))])...)
	case 4:
		s.w.Receive("mx.src.test", "", strings.Fields(manners[s.random.IntN(len(manners))])...)
	case 5:
		s.w.Net.Blackhole(netip.AddrFrom4([4]byte{203, 0, 113, byte(10 + host)}), s.random.IntN(2) == 0)
	case 6:
		faults := []dnstest.Fault{dnstest.None, dnstest.None, dnstest.ServFail, dnstest.Silence}
		s.w.DNS.Misbehave(fmt.Sprintf("d%d.test", host), dnstest.Manner{Fault: faults[s.random.IntN(len(faults))]})
	case 7:
		if err := s.w.DNS.SetZone(s.zone()); err != nil {
			s.Fatal(err)
		}
	case 8:
		s.w.Net.SetLatency(time.Duration(s.random.IntN(200)) * time.Millisecond)
	case 9, 10, 11:
		s.operate()
	case 12:
		s.w.DiskFull(true)
	case 13:
		s.reload()
	case 14:
		s.again(false)
	case 15, 16:
		s.again(s.crashing)
	}
	switch s.random.IntN(4) {
	case 0, 1:
		s.feed()
	case 2: // while whatever comes next happens
		messages := s.letters()
		s.feeds.Go(func() { s.hand(messages) })
	}
	// From milliseconds to hours.
	time.Sleep(time.Duration(s.random.ExpFloat64() * float64([]time.Duration{
		time.Millisecond, 20 * time.Millisecond, time.Second, 20 * time.Second, 5 * time.Minute, time.Hour,
	}[s.random.IntN(6)])))
	if s.random.IntN(3) == 0 {
		synctest.Wait()
	}
}

// again restarts the relay, by a drain or by a power failure.
func (s *soak) again(crash bool) {
	if crash {
		s.crashes++
		s.w.Crash(0)
	} else if err := s.w.Stop(); err != nil {
		s.Error("stop:", err)
	}
	s.verbs.Wait()
	s.w.Start(s.conf)
}

// operate has somebody do something to some messages, who may find the relay
// going away.
func (s *soak) operate() {
	q := s.w.Relay().Queue()
	verb := []func(context.Context, queue.Filter) (int, error){q.Hold, q.Release, q.Release, q.Retry, q.Retry, q.Delete}[s.random.IntN(6)]
	f := queue.Filter{Domain: fmt.Sprintf("d%d.test", s.random.IntN(soakDomains))}
	switch s.random.IntN(4) {
	case 0:
		f = queue.Filter{All: true}
	case 1:
		f.OlderThan = time.Hour
	}
	s.verbs.Go(func() {
		if _, err := verb(context.Background(), f); err != nil && err != queue.ErrClosed && err != spool.ErrClosed {
			s.Error("operator:", err)
		}
	})
}

// letter is a message to be handed in.
type letter struct {
	from, text string
	to         []string
}

// feed hands in some messages.
func (s *soak) feed() { s.hand(s.letters()) }

// letters writes some messages for each of some connections.
func (s *soak) letters() [][]letter {
	all := make([][]letter, 1+s.random.IntN(4))
	for c := range all {
		for range 1 + s.random.IntN(8) {
			s.sent++
			m := letter{from: fmt.Sprintf("a%04d@src.test", s.sent), text: "C: Subject: soak\nC:\nC: text\n"}
			if s.random.IntN(6) == 0 {
				m.from = ""
			}
			if s.random.IntN(40) == 0 { // staged, not inline
				m.text += strings.Repeat("C: "+strings.Repeat("y", 70)+"\n", 4500)
			}
			for i := range 1 + s.random.IntN(2)*s.random.IntN(7) {
				domain := fmt.Sprintf("d%d.test", s.random.IntN(soakDomains))
				if s.random.IntN(20) == 0 {
					domain = "nowhere.test"
				}
				m.to = append(m.to, fmt.Sprintf("r%04d-%d@%s", s.sent, i, domain))
			}
			all[c] = append(all[c], m)
		}
	}
	return all
}

// hand hands in messages, each list over connections of its own, and notes what
// came of them.
func (s *soak) hand(all [][]letter) {
	var wg sync.WaitGroup
	for _, messages := range all {
		wg.Go(func() {
			for _, m := range messages {
				err := s.w.Dialogue(sending(m.from, strings.Join(m.to, ">\nS: 250\nC: RCPT TO:<"), m.text))
				s.mu.Lock()
				for _, to := range m.to {
					if err == nil {
						s.owed[to] = m.from
					} else {
						s.maybe[to] = m.from
					}
				}
				s.mu.Unlock()
			}
		})
	}
	wg.Wait()
}

// fact is a line of the mail log.
type fact struct {
	Type, Sender string
	Event        string `json:"event_id"`
	Recipient    any
}

func (f *fact) final() bool {
	return slices.Contains([]string{"Delivery", "Bounce", "Expiration", "AdminBounce"}, f.Type)
}

// audit balances the books. Without power failures: each recipient with a 250 has
// one final event and nothing after it, it arrived as often as there is a Delivery,
// and the sender heard of its failure once, unless that DSN failed itself. A power
// failure may repeat, so there each figure may be more. Nothing is left.
func (s *soak) audit() {
	log, err := s.w.MailLog()
	if err != nil {
		s.Fatal(err)
	}
	history := map[string][]fact{} // by recipient
	for line := range strings.Lines(log) {
		var f fact
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			s.Fatalf("%q: %v", line, err)
		}
		if to, ok := f.Recipient.(string); ok && f.Type != "Reception" && f.Type != "Rejection" {
			history[to] = append(history[to], f)
		}
	}
	arrived, told := map[string]int{}, map[string]int{}
	failed := regexp.MustCompile(`(?i)Final-Recipient: rfc822; ?(\S+)\r\n(?:[^\r]+\r\n)*?Action: failed`)
	for _, m := range s.w.Got("") {
		for _, to := range m.To {
			arrived[to]++
		}
		if m.From == "" && m.Receiver == "mx.src.test" {
			for _, f := range failed.FindAllStringSubmatch(string(m.Data), -1) {
				told[f[1]]++
			}
		}
	}
	most := 1 + s.crashes
	for to, from := range s.owed {
		s.recipient(to, from, history, arrived[to], told[to], most)
	}
	for to, from := range s.maybe {
		if len(history[to]) > 0 {
			s.recipient(to, from, history, arrived[to], told[to], most)
		}
	}
	if len(s.owed) < 50 {
		s.Errorf("only %d recipients were accepted: nothing is shown", len(s.owed))
	}
	s.empty()
	kinds := map[string]int{}
	for _, all := range history {
		for _, f := range all {
			kinds[f.Type]++
		}
	}
	s.Logf("%d recipients, %d unsure, %d power failures, %d failures told, events %v", len(s.owed), len(s.maybe), s.crashes, len(told), kinds)
}

func (s *soak) recipient(to, from string, history map[string][]fact, arrived, told, most int) {
	h := history[to]
	finals, deliveries, failures := 0, 0, 0
	for i, f := range h {
		if !f.final() {
			continue
		}
		finals++
		switch f.Type {
		case "Delivery":
			deliveries++
		case "Bounce", "Expiration":
			failures++
		}
		if i+1 < len(h) && s.crashes == 0 {
			s.Errorf("%s: %s follows the final %s", to, h[i+1].Type, f.Type)
		}
	}
	if finals == 0 || finals > most {
		s.Errorf("%s has %d final events: %v", to, finals, h)
	}
	if arrived < deliveries || arrived > deliveries+s.crashes {
		s.Errorf("%s arrived %d times, and the log has %d deliveries", to, arrived, deliveries)
	}
	// A DSN that did not arrive has a fate in the log.
	lost := slices.ContainsFunc(history[from], func(f fact) bool { return f.final() && f.Type != "Delivery" })
	switch {
	case from == "" && told > 0:
		s.Errorf("%s: the null sender was told", to)
	case from != "" && failures > 0 && told == 0 && !lost:
		s.Errorf("%s: its failure was told to nobody", to)
	case told > failures && s.crashes == 0 || told > failures+s.crashes:
		s.Errorf("%s: %d failures, told %d times", to, failures, told)
	}
}

// empty checks that nothing is left in spool and memory.
func (s *soak) empty() {
	sum, err := s.w.Relay().Queue().Summary(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	if sum.Messages+sum.Ready+sum.Deferred+sum.Parked+sum.Running != 0 || sum.Rebuilding {
		s.Errorf("left in the queue: %+v", sum)
	}
	for _, l := range sum.Lanes {
		if l.Ready+l.Deferred+l.Running != 0 {
			s.Errorf("left in a lane: %+v", l)
		}
	}
	left, err := s.w.Relay().Queue().List(s.Context(), queue.Filter{All: true, Limit: 10})
	if err != nil || len(left) > 0 {
		s.Errorf("left in the spool: %+v, %v", left, err)
	}
	client := &http.Transport{DialContext: s.w.Net.DialContext, DisableKeepAlives: true}
	r, err := http.NewRequestWithContext(s.Context(), http.MethodGet, "http://127.0.0.1:8080/metrics", nil)
	if err != nil {
		s.Fatal(err)
	}
	answer, err := client.RoundTrip(r)
	if err != nil {
		s.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.Fatal(err)
	}
	for _, name := range zeroInTheEnd { // one with a label is missing until its first value
		for _, m := range regexp.MustCompile(`(?m)^`+name+`(?:\{.*\})? (.*)$`).FindAllSubmatch(text, -1) {
			if string(m[1]) != "0" {
				s.Errorf("%s", m[0])
			}
		}
	}
}

// zeroInTheEnd are the gauges that have nothing to count any more.
var zeroInTheEnd = []string{
	"tenma_queue_ready", "tenma_queue_deferred", "tenma_queue_running", "tenma_queue_paused_shards",
	"tenma_delivery_connections", "tenma_delivery_idle_connections", "tenma_ingress_sessions", "tenma_intake_held_bytes",
	"tenma_spool_entries", "tenma_spool_parked", "tenma_spool_body_bytes", "tenma_spool_cached_bytes", "tenma_maillog_buffer_bytes",
}
