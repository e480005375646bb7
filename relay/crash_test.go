package relay_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tenma/relay/relaytest"
)

const crashZone = `
src.test. 300 IN MX 10 mx.src.test.
mx.src.test. 300 IN A 203.0.113.1
good.test. 300 IN MX 10 mx.good.test.
mx.good.test. 300 IN A 203.0.113.2
shaky.test. 300 IN MX 10 mx.shaky.test.
mx.shaky.test. 300 IN A 203.0.113.3
nobody.test. 300 IN MX 10 mx.nobody.test.
mx.nobody.test. 300 IN A 203.0.113.4
`

const crashConfig = `
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
retry = ["30s"]
`

// TestPowerFailures cuts the power again and again while mail comes in, goes
// out, is deferred and is returned, each time with another part of the unsynced
// data surviving. Every message with a 250 must arrive at its recipient, or
// come back in one DSN (the same DSN, if more than once), and never both:
// promises 1, 3 and 4 together.
func TestPowerFailures(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { powerFailures(t, seed) })
		})
	}
}

func powerFailures(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 7))
	dir := t.TempDir()
	conf := filepath.Join(dir, "relay.toml")
	if err := os.WriteFile(conf, []byte(crashConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	w := relaytest.New(t, dir, crashZone)
	defer w.Close()
	w.Receive("mx.src.test", "203.0.113.1:25")
	w.Receive("mx.good.test", "203.0.113.2:25", "wait:dot=3ms")
	w.Receive("mx.shaky.test", "203.0.113.3:25", "tempfail=0.5")
	w.Receive("mx.nobody.test", "203.0.113.4:25", "unknown=1")
	acked := map[string]string{} // recipient's domain by mark
	n := 0
	for range 6 {
		w.Start(conf)
		synctest.Wait()
		n = feed(w, n, acked)
		// Something of the work is done, and then the power fails: within
		// microseconds or within seconds.
		time.Sleep(time.Duration(random.ExpFloat64() * float64(20*time.Millisecond)))
		w.Crash(random.IntN(3) * 50)
	}
	w.Start(conf)
	synctest.Wait()
	time.Sleep(2 * time.Hour)
	synctest.Wait()
	judge(t, w, acked)
}

// feed hands in 40 messages over 8 connections and notes those with a 250.
func feed(w *relaytest.World, n int, acked map[string]string) int {
	domains := []string{"good.test", "shaky.test", "nobody.test", "good.test"}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 8 {
		first := n
		n += 5
		wg.Go(func() {
			for i := first; i < first+5; i++ {
				mark, domain := fmt.Sprintf("mark-%04d", i), domains[i%len(domains)]
				err := w.Dialogue("S: 220\nC: HELO x\nS: 250\nC: MAIL FROM:<a@src.test>\nS: 250\nC: RCPT TO:<b@" + domain +
					">\nS: 250\nC: DATA\nS: 354\nC: Subject: " + mark + "\nC:\nC: text\nC: .\nS: 250\n")
				if err == nil {
					mu.Lock()
					acked[mark] = domain
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return n
}

func judge(t *testing.T, w *relaytest.World, acked map[string]string) {
	if len(acked) < 200 {
		t.Fatalf("only %d messages were accepted: nothing is shown", len(acked))
	}
	arrived, dsns := map[string]int{}, map[string][]string{}
	mark, id := regexp.MustCompile(`mark-\d{4}`), regexp.MustCompile(`(?m)^Message-ID: (.*)`)
	for _, m := range w.Got("") {
		key := mark.FindString(string(m.Data))
		if m.From == "" {
			dsns[key] = append(dsns[key], id.FindString(string(m.Data)))
		} else {
			arrived[key]++
		}
	}
	copies := 0
	for key, domain := range acked {
		returned := dsns[key]
		slices.Sort(returned)
		switch {
		case strings.HasPrefix(domain, "nobody") && (len(returned) == 0 || arrived[key] > 0):
			t.Errorf("%s to %s: %d DSNs, arrived %d times", key, domain, len(returned), arrived[key])
		case !strings.HasPrefix(domain, "nobody") && (arrived[key] == 0 || len(returned) > 0):
			t.Errorf("%s to %s: arrived %d times, %d DSNs", key, domain, arrived[key], len(returned))
		case len(slices.Compact(returned)) > 1:
			t.Errorf("%s was returned by different DSNs: %q", key, returned)
		}
		copies += max(0, arrived[key]-1) + max(0, len(dsns[key])-1)
	}
	t.Logf("%d accepted, %d arrived, %d returned, %d copies", len(acked), len(arrived), len(dsns), copies)
}
