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
						got, taken := oneMessage(t, strings.Fields(c.manner+" "+way), hosts)
						if d := cmp.Diff(want, got); d != "" {
							t.Errorf("-want +got:\n%s", d)
						}
						var sent []string
						for i, o := range got {
							if o == "sent" {
								sent = append(sent, fmt.Sprintf("r%d@site.test", i+1))
							}
						}
						slices.Sort(taken)
						if d := cmp.Diff(sent, taken); d != "" {
							t.Errorf("said to be sent, taken by a host:\n%s", d)
						}
					})
				})
			}
		}
	}
}

// oneMessage delivers a message to r1, r2 and r3 at a site whose first host
// behaves as the words say. It gives the outcomes and who got the message.
func oneMessage(t *testing.T, words []string, hosts int) (got, taken []string) {
	network := fakenet.New()
	ctx, stop := context.WithCancel(t.Context())
	var mu sync.Mutex // guards taken
	var servers sync.WaitGroup
	defer servers.Wait()
	defer stop()
	route := mail.Route{Kind: mail.ByMX, Lane: "l"}
	for h := range hosts {
		manner, err := internet.ParseManner(words, nil)
		if h > 0 {
			manner, err = internet.Manner{}, nil
		}
		if err != nil {
			t.Fatal(err)
		}
		addr := netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + h)})
		l, err := network.Listen("tcp", netip.AddrPortFrom(addr, 25).String())
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("mx%d.test", h+1)
		route.Hosts = append(route.Hosts, mail.Host{Name: name, Port: 25, Pref: uint16(h), Addr: addr})
		r := internet.NewReceiver(name, manner, 1, func(m internet.Message) {
			mu.Lock()
			defer mu.Unlock()
			taken = append(taken, m.To...)
		})
		servers.Go(func() { _ = r.Serve(ctx, l) }) // its error is the end of ctx
	}
	c := delivery.New(delivery.Config{Hostname: "relay.test"}, delivery.Deps{Resolver: zone{}, Dialer: network, Metrics: metrics.New(prometheus.NewRegistry()).Delivery})
	a := &mail.Attempt{Number: 1, Route: route, Envelope: &mail.Envelope{}}
	for i := range 3 {
		a.Envelope.Recipients = append(a.Envelope.Recipients, mail.Recipient{Address: address(t, fmt.Sprintf("<r%d@site.test>", i+1))})
		a.To = append(a.To, i)
	}
	setBody(a, "hi\r\n")
	calls := 0
	c.Deliver(ctx, a, func() *mail.Attempt { return nil }, func(_ *mail.Attempt, out []mail.Outcome) {
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
	return got, taken
}
