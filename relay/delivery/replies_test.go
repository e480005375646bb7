package delivery_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"tenma/bench/internet"
	"tenma/bench/internet/fakenet"
	"tenma/metrics"
	"tenma/relay/delivery"
	"tenma/relay/mail"
)

// TestRepliesInContext is the table of what a reply means where it stands. A
// message goes to three recipients at a site of one host, and of two, of which
// the second takes everything. Each row is tried by BDAT, by DATA, and without
// pipelining: the meaning is the same.
func TestRepliesInContext(t *testing.T) {
	same := func(outcome string) []string { return []string{outcome, outcome, outcome} }
	sent := same("sent")
	for _, c := range []struct {
		manner string
		alone  []string // what comes of r1, r2 and r3 with one host
		two    []string // with a second one; nil: the same
	}{
		// Before MAIL a refusal is about the session: the next host is asked, and a
		// site all of whose hosts refuse may think better of it.
		{"say:connect=421_4.3.2_busy", same("deferred CONNECT 421 4.3.2"), sent},
		{"say:connect=450_no", same("deferred CONNECT 450"), sent},
		{"say:connect=554_5.7.1_listed", same("deferred CONNECT 451 4.7.1"), sent},
		{"say:connect=521_5.3.2_takes_no_mail", same("failed CONNECT 521 5.3.2"), sent}, // RFC 7504
		{"say:connect=drop", same("deferred CONNECT 451 4.4.2"), sent},
		{"say:ehlo=421_4.3.2_busy", same("deferred EHLO 421 4.3.2"), sent},
		{"say:ehlo=550_5.7.1_go_away say:helo=550_5.7.1_go_away", same("deferred EHLO 451 4.7.1"), sent},

		// MAIL: 4yz is about the host as it is now, 5yz about the sender.
		{"say:mail=421_4.3.2_closing", same("deferred MAIL 421 4.3.2"), sent},
		{"say:mail=450_4.1.8_sender?", same("deferred MAIL 450 4.1.8"), sent},
		{"say:mail=451_4.3.0_local_error", same("deferred MAIL 451 4.3.0"), sent},
		{"say:mail=452_4.3.1_no_room", same("deferred MAIL 452 4.3.1"), sent},
		{"say:mail=550_5.7.1_not_you", same("failed MAIL 550 5.7.1"), nil},
		{"say:mail=552_5.3.4_too_big", same("failed MAIL 552 5.3.4"), nil},

		// RCPT: each recipient for itself.
		{"user:r2=450_4.2.1_busy", []string{"sent", "deferred RCPT 450 4.2.1", "sent"}, nil},
		{"user:r2=451_4.7.1_greylisted", []string{"sent", "deferred RCPT 451 4.7.1", "sent"}, nil},
		{"user:r2=452_4.2.2_mailbox_full", []string{"sent", "deferred RCPT 452 4.2.2", "sent"}, nil},
		{"user:r1=550_5.1.1_unknown", []string{"failed RCPT 550 5.1.1", "sent", "sent"}, nil},
		{"user:r2=551_5.1.6_moved", []string{"sent", "failed RCPT 551 5.1.6", "sent"}, nil},
		{"user:r2=553_5.1.3_syntax", []string{"sent", "failed RCPT 553 5.1.3", "sent"}, nil},
		{"user:r2=550_5.1.1_unknown user:r3=450_4.2.1_busy", []string{"sent", "failed RCPT 550 5.1.1", "deferred RCPT 450 4.2.1"}, nil},
		{"user:r1=550_no user:r2=550_no user:r3=550_no", same("failed RCPT 550"), nil},
		{"user:r1=450_no user:r2=450_no user:r3=450_no", same("deferred RCPT 450"), nil},
		{"user:r2=552_5.2.2_full", []string{"sent", "deferred RCPT 451 4.2.2", "sent"}, nil}, // RFC 5321 section 4.5.3.1.10
		{"user:r2=421_4.3.2_closing", same("deferred RCPT 421 4.3.2"), nil},
		{"user:r1=550_5.1.1_unknown user:r2=421_4.3.2_closing", []string{"failed RCPT 550 5.1.1", "deferred RCPT 421 4.3.2", "deferred RCPT 421 4.3.2"}, nil},
		{"max-recipients=1", sent, nil}, // 452 4.5.3: the rest in further transactions
		{"max-recipients=2", sent, nil},
		{"max-recipients=1 user:r1=550_5.1.1_unknown", []string{"failed RCPT 550 5.1.1", "sent", "sent"}, nil},

		// DATA and the final dot: the fate of whom the host had taken.
		{"say:data=451_4.3.0_no without=CHUNKING", same("deferred DATA 451 4.3.0"), nil},
		{"say:data=554_5.6.0_no without=CHUNKING", same("failed DATA 554 5.6.0"), nil},
		{"say:data=421_4.3.2_no without=CHUNKING", same("deferred DATA 421 4.3.2"), nil},
		{"say:data=554_5.6.0_no user:r1=450_4.2.1_busy without=CHUNKING", []string{"deferred RCPT 450 4.2.1", "failed DATA 554 5.6.0", "failed DATA 554 5.6.0"}, nil},
		{"say:dot=451_4.3.0_no", same("deferred . 451 4.3.0"), nil},
		{"say:dot=452_4.3.1_no_room", same("deferred . 452 4.3.1"), nil},
		{"say:dot=552_5.2.2_full", same("failed . 552 5.2.2"), nil},
		{"say:dot=554_5.7.1_spam", same("failed . 554 5.7.1"), nil},
		{"say:dot=554_5.7.1_spam user:r3=450_4.2.1_busy", []string{"failed . 554 5.7.1", "failed . 554 5.7.1", "deferred RCPT 450 4.2.1"}, nil},
		{"say:dot=421_4.3.2_closing", same("deferred . 421 4.3.2"), nil},
	} {
		for _, way := range []string{"", "without=CHUNKING", "without=CHUNKING without=PIPELINING"} {
			for hosts := 1; hosts <= 2; hosts++ {
				want := c.alone
				if hosts == 2 && c.two != nil {
					want = c.two
				}
				t.Run(fmt.Sprintf("%s %s %d", c.manner, way, hosts), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						manners := [][]string{strings.Fields(c.manner + " " + way), nil}
						site := newSite(t, manners[:hosts]...)
						got := site.deliver(t)
						site.close()
						if d := cmp.Diff(want, got); d != "" {
							t.Errorf("-want +got:\n%s", d)
						}
						var sent []string
						for i, o := range got {
							if o == "sent" {
								sent = append(sent, fmt.Sprintf("r%d@site.test", i+1))
							}
						}
						slices.Sort(site.taken)
						if d := cmp.Diff(sent, site.taken); d != "" {
							t.Errorf("said to be sent, taken by a host:\n%s", d)
						}
					})
				})
			}
		}
	}
}

// TestOtherPreferences sends mail of several domains that share a lane and prefer its
// hosts in different orders over one connection: the host that refuses MAIL is the
// same host under either preference, and is asked once.
func TestOtherPreferences(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, []string{"say:mail=450_no"}, nil)
		defer s.close()
		running, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.client.Run(running) }()
		synctest.Wait()
		for i, prefs := range [][]uint16{{1, 2}, {10, 20}, {20, 10}, {7, 7}} {
			for h := range s.route.Hosts {
				s.route.Hosts[h].Pref = prefs[h]
			}
			s.route.Hosts = slices.Clone(s.route.Hosts)
			if got := s.deliver(t); got[0] != "sent" {
				t.Errorf("message %d: %v", i+1, got)
			}
		}
		if len(s.taken) != 12 {
			t.Errorf("%d recipients got a message", len(s.taken))
		}
		if n := s.elsewhere(t); n != 3*float64(s.first.Counts().Refused) {
			t.Errorf("%v recipients went elsewhere", n)
		}
		if n := s.first.Counts().Refused; n > 3 { // once for each message but the third, which prefers the other
			t.Errorf("mx1.test refused %d times", n)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// site is a domain's hosts, mx1.test, mx2.test and so on, and a client.
type site struct {
	client *delivery.Client
	route  mail.Route
	ctx    context.Context
	close  func()
	counts *prometheus.Registry
	first  *internet.Receiver

	mu    sync.Mutex
	taken []string // guarded by mu: recipients of what the hosts took
}

// newSite makes a site whose hosts behave as the words say.
func newSite(t *testing.T, hosts ...[]string) *site {
	network := fakenet.New()
	ctx, stop := context.WithCancel(t.Context())
	var servers sync.WaitGroup
	s := &site{ctx: ctx, close: func() { stop(); servers.Wait() }, route: mail.Route{Kind: mail.ByMX, Lane: "l"}}
	for i, words := range hosts {
		manner, err := internet.ParseManner(words, nil)
		if err != nil {
			t.Fatal(err)
		}
		addr := netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + i)})
		l, err := network.Listen("tcp", netip.AddrPortFrom(addr, 25).String())
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("mx%d.test", i+1)
		s.route.Hosts = append(s.route.Hosts, mail.Host{Name: name, Port: 25, Pref: uint16(i), Addr: addr})
		r := internet.NewReceiver(name, manner, 1, func(m internet.Message) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.taken = append(s.taken, m.To...)
		})
		if i == 0 {
			s.first = r
		}
		servers.Go(func() { _ = r.Serve(ctx, l) }) // its error is the end of ctx
	}
	s.counts = prometheus.NewRegistry()
	s.client = delivery.New(delivery.Config{Hostname: "relay.test"}, delivery.Deps{Resolver: zone{}, Dialer: network, Metrics: metrics.New(s.counts).Delivery})
	return s
}

// elsewhere is how many recipients were counted as gone to another host.
func (s *site) elsewhere(t *testing.T) float64 {
	families, err := s.counts.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "tenma_delivery_elsewhere_total" {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	return -1
}

// deliver sends a message to r1, r2 and r3 and gives the outcomes.
func (s *site) deliver(t *testing.T) (got []string) {
	a := &mail.Attempt{Number: 1, Route: s.route, Envelope: &mail.Envelope{}}
	for i := range 3 {
		a.Envelope.Recipients = append(a.Envelope.Recipients, mail.Recipient{Address: address(t, fmt.Sprintf("<r%d@site.test>", i+1))})
		a.To = append(a.To, i)
	}
	setBody(a, "hi\r\n")
	calls := 0
	s.client.Deliver(s.ctx, a, func() *mail.Attempt { return nil }, func(_ *mail.Attempt, out []mail.Outcome) {
		calls++
		for _, o := range out {
			text := o.Fate().String()
			if o.Fate() != mail.Sent {
				command := strings.Replace(o.Command, "BDAT", ".", 1)
				text += strings.TrimRight(fmt.Sprintf(" %s %d %s", command, o.Reply.Code, o.Reply.Status), " ")
			}
			got = append(got, text)
		}
	})
	if calls != 1 {
		t.Errorf("done %d times", calls)
	}
	return got
}
