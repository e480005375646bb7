package dnscache

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/miekg/dns"
)

// prior is what a server has said already to a question. Without a server it
// was not asked.
type prior struct {
	srv *server
	msg *dns.Msg
	err error
}

func (p prior) answered() bool { return p.srv != nil && p.err == nil }

// pair asks the first server for both kinds of addresses of a name over one
// socket, in one goroutine: mail to domains that are met once asks this for
// each message, and the second question had a goroutine, whose stack grew by
// copying, a socket and a timer of its own. It takes no decision: what exchange
// would make of a reply, or of silence, it makes of the prior; a question whose
// reply did not do over UDP (cut, forged, no EDNS) has none and is asked anew.
//
// Two questions on one port are no easier to forge than two on two: a reply
// must still guess port and id, and fits one of them only.
func (c *Cache) pair(ctx context.Context, s *settings, name string) (v6, v4 prior) {
	srv, begin := s.servers[0], time.Now()
	if !srv.pairs(begin) {
		return v6, v4
	}
	deadline := begin.Add(s.patience())
	if end, ok := ctx.Deadline(); ok && end.Before(deadline) {
		deadline = end
	}
	qs := [2]question{{c.deps.NewID(), name, dns.TypeAAAA}, {c.deps.NewID(), name, dns.TypeA}}
	got, err := c.askBoth(ctx, s, srv, &qs, deadline)
	priors := [2]prior{}
	for i, msg := range got {
		e := err
		if msg != nil {
			e = nil
		} else if e == nil {
			continue
		}
		c.tally("udp", begin, msg, e)
		switch {
		case msg != nil && (msg.Rcode == dns.RcodeFormatError || msg.Rcode == dns.RcodeNotImplemented):
			continue // perhaps it knows no EDNS
		case msg != nil:
			e = usable(msg)
		case !isSilence(e):
			continue
		}
		c.health(ctx, s, srv, begin, e)
		priors[i] = prior{srv, msg, e}
	}
	one, other := got[0] != nil, got[1] != nil
	if one && other || one != other && err != nil && time.Since(begin) >= s.patience()*9/10 {
		srv.paired(one && other, begin)
	}
	return priors[0], priors[1]
}

// askBoth sends two questions and reads their replies. One that is nil without
// an error was cut.
func (c *Cache) askBoth(ctx context.Context, s *settings, srv *server, qs *[2]question, deadline time.Time) (got [2]*dns.Msg, err error) {
	k, err := srv.take(ctx, s.dial)
	if err != nil {
		return got, err
	}
	if err = k.conn.SetDeadline(deadline); err == nil {
		stop := interrupt(ctx, k.conn)
		err = c.overOne(k, qs, &got)
		if !stop() && err == nil {
			err = os.ErrDeadlineExceeded // the deadline of k is no longer ours to set
		}
	}
	if err != nil {
		_ = k.conn.Close() // a late reply must meet a closed port
		return got, err
	}
	k.uses++ // the second question; give counts the first
	srv.give(k)
	return got, nil
}

func (c *Cache) overOne(k *socket, qs *[2]question, got *[2]*dns.Msg) error {
	for i := range qs {
		wire, err := qs[i].pack(true)
		if err != nil {
			return err
		}
		if _, err := k.conn.Write(wire); err != nil {
			return err
		}
	}
	var done [2]bool
	for forged := 0; !done[0] || !done[1]; {
		n, err := k.conn.Read(k.buf[:])
		if err != nil {
			return err
		}
		fits := false
		for i := range qs {
			if done[i] {
				continue
			}
			msg, err := qs[i].match(k.buf[:n])
			if err == nil || errors.Is(err, errTruncated) {
				got[i], done[i], fits = msg, true, true
				break
			}
		}
		if fits {
			continue
		}
		c.deps.Metrics.Forged.Inc()
		k.uses = socketUses // whoever guesses has the port
		if forged++; forged >= maxForged {
			return errForged
		}
	}
	return nil
}
