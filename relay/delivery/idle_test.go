package delivery_test

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tenma/bench/internet/fakenet"
	"tenma/metrics"
	"tenma/relay/delivery"
	"tenma/relay/mail"
)

// Mail to many domains leaves a connection at rest for each. They are bounded
// together: without that they took every file descriptor of the process.
func TestIdleConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := fakenet.New()
		sockets := &counted{network: network}
		l, err := network.Listen("tcp", "192.0.2.1:25")
		if err != nil {
			t.Fatal(err)
		}
		var server sync.WaitGroup
		defer server.Wait()
		defer l.Close() //nolint:errcheck // a test's listener
		server.Go(func() {
			for {
				nc, err := l.Accept()
				if err != nil {
					return
				}
				server.Go(func() { sink(slow{nc}, "") })
			}
		})
		const limit = 3
		m := metrics.New(prometheus.NewRegistry()).Delivery
		c := delivery.New(delivery.Config{Hostname: "relay.test", IdleConnections: limit}, delivery.Deps{Resolver: zone{}, Dialer: sockets, Metrics: m})
		ctx, stop := context.WithCancel(t.Context())
		running := make(chan error, 1)
		go func() { running <- c.Run(ctx) }()
		synctest.Wait()
		deliver := func(lane int) {
			a := &mail.Attempt{Envelope: &mail.Envelope{Recipients: make([]mail.Recipient, 1)}, To: []int{0}, Route: mail.Route{Lane: mail.Lane(fmt.Sprint(lane)), Hosts: []mail.Host{{Name: "mx.test", Addr: netip.MustParseAddr("192.0.2.1"), Port: 25}}}}
			setBody(a, "hi\r\n")
			c.Deliver(ctx, a, func() *mail.Attempt { return nil }, func(_ *mail.Attempt, out []mail.Outcome) {
				if out[0].Fate() != mail.Sent {
					t.Errorf("lane %d: %v", lane, out[0])
				}
			})
			time.Sleep(time.Second) // the bubble's: a farewell takes its time
			synctest.Wait()
		}
		for lane := range 2 * limit {
			deliver(lane)
		}
		if open, _ := sockets.count(); open != limit {
			t.Errorf("%d connections are at rest, want %d", open, limit)
		}
		// The youngest have stayed: they are used again.
		for lane := range limit {
			deliver(limit + lane)
		}
		if open, most := sockets.count(); open != limit || most > limit+1 {
			t.Errorf("%d connections are at rest, %d at most", open, most)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if open, _ := sockets.count(); open != 0 {
			t.Errorf("%d connections outlived their idle time", open)
		}
		stop()
		if err := <-running; err != nil {
			t.Error(err)
		}
	})
}
