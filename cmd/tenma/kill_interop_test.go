//go:build interop

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tenma/bench/internet"
	"tenma/dnscache/dnstest"
)

// TestInteropKill kills the relay twenty times, at random moments, while it
// accepts, delivers, settles and returns 20,000 messages. Every message that
// got a 250 must arrive, or its DSN must. Duplicates are attempts whose final
// dot was sent and whose settlement was not yet on disk; they are counted.
func TestInteropKill(t *testing.T) {
	const total, kills, sessions = 20000, 20, 40
	k := newKillTest(t)
	bin := binary(t)
	relay := startRelay(t, bin, k.dir, k.smtp, k.conf)
	var wg sync.WaitGroup
	work := make(chan int)
	for range sessions {
		wg.Go(func() { k.feed(work) })
	}
	go func() {
		defer close(work)
		for n := range total {
			work <- n
		}
	}()
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	deadline := time.Now().Add(4 * time.Minute)
	for round := range kills {
		// A share of the messages, then a moment of up to 60 ms more, so that
		// the kills fall everywhere: into bursts and into the quiet after them.
		for k.accepted() < (round+1)*total/(kills+1) && time.Now().Before(deadline) {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Duration(random.IntN(60)) * time.Millisecond)
		relay.kill()
		relay = startRelay(t, bin, k.dir, k.smtp, k.conf)
	}
	wg.Wait()
	for len(k.missing()) > 0 && time.Now().Before(deadline) {
		time.Sleep(100 * time.Millisecond)
	}
	relay.term()
	k.verdict(t, total)
}

type killTest struct {
	dir, smtp, conf string

	mu      sync.Mutex
	acked   map[string]bool     // markers that got a 250
	taken   map[string]int      // arrivals by marker
	dsns    map[string][]string // Message-IDs of the returned mail by marker
	unheard int                 // attempts to hand in that ended without a reply
}

var (
	killMark  = regexp.MustCompile(`kill-\d{6}-\d+`)
	messageID = regexp.MustCompile(`Message-ID: (<[^>]+>)`)
)

func newKillTest(t *testing.T) *killTest {
	k := &killTest{dir: t.TempDir(), smtp: freePort(t, "127.0.0.1"), acked: map[string]bool{}, taken: map[string]int{}, dsns: map[string][]string{}}
	ctx, cancel := context.WithCancel(t.Context())
	host := func(n int) []internet.Host {
		return []internet.Host{{Name: fmt.Sprintf("mx%d.test", n), Address: fmt.Sprintf("127.1.7.%d", n)}}
	}
	providers := []internet.Provider{
		{Domains: []string{"one.test"}, Hosts: host(1)},
		{Domains: []string{"two.test"}, Hosts: host(2), Manner: internet.Manner{Wait: map[string]time.Duration{internet.AtDot: 5 * time.Millisecond}}},
		{Domains: []string{"shaky.test"}, Hosts: host(3), Manner: internet.Manner{TempFail: 0.2}},
		{Domains: []string{"nobody.test"}, Hosts: host(4), Manner: internet.Manner{Unknown: 1}},
		{Domains: []string{"src.test"}, Hosts: host(5)},
	}
	_, port, _ := net.SplitHostPort(freePort(t, "127.1.7.1"))
	_, wait, err := internet.Receivers(ctx, providers, port, net.Listen, k.take)
	if err != nil {
		t.Fatal(err)
	}
	dnsAddr := freePort(t, "127.1.7.53")
	served := make(chan struct{})
	go func() {
		defer close(served)
		dnstest.New(internet.Zone(providers)).ListenAndServe(ctx, dnsAddr)
	}()
	t.Cleanup(func() { cancel(); wait(); <-served })
	k.conf = fmt.Sprintf("[dns]\nservers = [%q]\n[delivery]\nport = %s\nprivate_destinations = true\nretry = [\"1s\"]\n", dnsAddr, port)
	return k
}

func (k *killTest) take(m internet.Message) {
	mark := killMark.FindString(string(m.Data))
	k.mu.Lock()
	defer k.mu.Unlock()
	if m.From == "" {
		k.dsns[mark] = append(k.dsns[mark], messageID.FindString(string(m.Data)))
	} else {
		k.taken[mark]++
	}
}

// feed hands in messages until each has a 250; one without a reply is handed in
// again, as a careful client does, under a marker of its own.
func (k *killTest) feed(work <-chan int) {
	domains := []string{"one.test", "two.test", "shaky.test", "one.test", "nobody.test"}
	var v *conversation
	for n := range work {
		mark := ""
		for try := 0; ; try++ {
			mark = fmt.Sprintf("kill-%06d-%d", n, try)
			var err error
			if v == nil {
				if v, err = converse(k.smtp); err != nil {
					v = nil
					time.Sleep(5 * time.Millisecond)
					continue
				}
			}
			if _, err = v.send("a@src.test", "b@"+domains[n%len(domains)], "Subject: "+mark+"\r\n\r\n"+strings.Repeat("text\r\n", 100)); err == nil {
				break
			}
			v.Close()
			v = nil
			k.mu.Lock()
			k.unheard++
			k.mu.Unlock()
		}
		k.mu.Lock()
		k.acked[mark] = true
		k.mu.Unlock()
	}
	if v != nil {
		v.Close()
	}
}

func (k *killTest) accepted() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.acked)
}

func (k *killTest) missing() (m []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for mark := range k.acked {
		if k.taken[mark]+len(k.dsns[mark]) == 0 {
			m = append(m, mark)
		}
	}
	return m
}

func (k *killTest) verdict(t *testing.T, total int) {
	if m := k.missing(); len(m) > 0 || len(k.acked) != total {
		t.Errorf("%d of %d accepted, lost: %v", len(k.acked), total, m)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	copies, dsnCopies, unheard := 0, 0, 0
	for mark, n := range k.taken {
		copies += n - 1
		if !k.acked[mark] {
			unheard++
		}
	}
	for mark, ids := range k.dsns {
		dsnCopies += len(ids) - 1
		if slices.Sort(ids); len(slices.Compact(ids)) > 1 {
			t.Errorf("%s was returned by several DSNs: %v", mark, ids) // promise 4
		}
		if k.taken[mark] > 0 {
			t.Errorf("%s arrived and was returned", mark)
		}
		if !k.acked[mark] {
			unheard++
		}
	}
	t.Logf("%d accepted; %d delivered, %d returned, among them %d of %d whose 250 was never heard; copies: %d of messages, %d of DSNs",
		len(k.acked), len(k.taken), len(k.dsns), unheard, k.unheard, copies, dsnCopies)
	// At a kill an attempt is repeated if its final dot was sent and its
	// settlement was not yet on disk: 5 lanes of 10 connections, each with one
	// message and one behind it, and those of the 10 ms that settlements wait
	// for each other. The last depends on speed; a margin of twice the others.
	if limit := 20 * 5 * 10 * 2 * 3; copies+dsnCopies > limit {
		t.Errorf("%d copies, more than %d", copies+dsnCopies, limit)
	}
}
