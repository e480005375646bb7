// Package demo runs the relay against an internet in a box, all in one
// process: DNS and mail providers with manners of their own on a network in
// memory, a source that hands in mail by SMTP, and a live summary for people.
// Only the relay's own listeners are real, so that every command that talks to
// a relay works on it.
package demo

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"tenma/bench/internet"
	"tenma/bench/internet/fakenet"
	"tenma/dnscache/dnstest"
	"tenma/relay"
)

// Options say how the demo runs.
type Options struct {
	Relay relay.Options // complete but for the outside world, which the demo puts in
	Rate  float64       // messages a second
	Out   io.Writer
	// Size gives the columns and lines of the terminal that Out is: the summary
	// is drawn in place, every second. nil: no terminal, a line now and then.
	Size func() (columns, lines int)
	For  time.Duration // end after this; 0: when ctx is cancelled
	Hint string        // what else to try, below the summary; each line at most 80 columns
	// Dial is how the source of mail reaches the relay; nil: by TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// sender is where the demo's mail comes from and its DSNs go.
const sender = "newsletter@sender.test"

// Run runs the demo until ctx is cancelled.
func Run(ctx context.Context, o Options) error {
	if o.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.For)
		defer cancel()
	}
	providers := append(internet.Sample(), internet.Provider{
		Name: "home", Domains: []string{"sender.test"}, What: "the sender's own host: returned mail arrives here",
		Hosts: []internet.Host{{Name: "mx.sender.test", Address: "203.0.113.5"}},
	})
	dns := dnstest.New(internet.Zone(providers))
	world, stopWorld := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWorld()
	network := fakenet.New()
	hosts, wait, err := internet.Receivers(world, providers, "25", network.Listen, nil)
	if err != nil {
		return err
	}
	defer wait()
	defer stopWorld()

	quicken(o.Relay.Config)
	o.Relay.Dialer, o.Relay.DialDNS = network, dns.Dial
	r, err := relay.New(o.Relay)
	if err != nil {
		return err
	}
	if err := r.Listen(); err != nil {
		return err
	}
	at := r.Addrs()
	smtp, http := at.SMTP, at.HTTP
	running, stopRelay := context.WithCancel(world)
	defer stopRelay()
	ended := make(chan error, 1)
	go func() { ended <- r.Run(running) }()

	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	s := &source{addr: smtp[0].String(), dial: o.Dial, domains: domains(providers), rate: o.Rate}
	sourced := make(chan struct{})
	go func() { defer close(sourced); s.run(ctx) }()
	v := &view{out: o.Out, size: o.Size, hint: o.Hint, providers: providers, hosts: hosts, queue: r.Queue(), source: s, smtp: smtp[0], http: http}
	err = v.run(ctx, ended)
	<-sourced
	if err != nil {
		return err
	}
	fmt.Fprint(o.Out, "\nStopping: deliveries under way finish.\n")
	waiting, _ := r.Queue().Summary(world) // zero, if it cannot be told any more
	stopRelay()
	err = <-ended
	fmt.Fprintf(o.Out, "%d messages went in; the providers took %d, returned mail included.\nAbout %d still waited for another try.\n",
		s.accepted.Load(), v.taken(), waiting.Deferred+waiting.Parked)
	return err
}

// domains gives the recipient domains, the quick ones more often, as a list to
// draw from.
func domains(providers []internet.Provider) []string {
	var all []string
	for _, p := range providers {
		if p.Name == "home" {
			continue
		}
		all = append(all, p.Domains...)
		if p.Name == "quickmail" {
			for range 6 {
				all = append(all, p.Domains...)
			}
		}
	}
	return all
}

// source hands in mail over one SMTP connection, at a steady rate.
type source struct {
	addr     string
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
	domains  []string
	rate     float64
	accepted atomic.Int64
	refused  atomic.Int64
	lastErr  atomic.Value // string
}

func (s *source) run(ctx context.Context) {
	tick := time.NewTicker(time.Duration(float64(time.Second) / max(s.rate, 0.1)))
	defer tick.Stop()
	var c *client
	defer func() {
		if c != nil {
			c.quit()
		}
	}()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var err error
		if c == nil {
			if c, err = dial(ctx, s.dial, s.addr); err != nil {
				s.lastErr.Store(err.Error())
				continue
			}
		}
		to := fmt.Sprintf("user%d@%s", n%997, s.domains[n%len(s.domains)])
		if err = c.send(sender, to, letter(n, to)); err != nil {
			s.refused.Add(1)
			s.lastErr.Store(err.Error())
			c.conn.Close()
			c = nil
			continue
		}
		s.accepted.Add(1)
	}
}

func letter(n int, to string) string {
	return strings.ReplaceAll(fmt.Sprintf(`From: Newsletter <%s>
To: <%s>
Subject: Number %d of the demo
Date: %s
Message-ID: <demo.%d.%d@sender.test>
MIME-Version: 1.0
Content-Type: text/plain; charset=us-ascii

Good news, every day.
`, sender, to, n, time.Now().Format(time.RFC1123Z), time.Now().UnixNano(), n), "\n", "\r\n")
}
