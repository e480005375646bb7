package dnscache

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/miekg/dns"
)

const (
	// udpSize is what we say that we can take over UDP: it passes without
	// fragments nearly everywhere (DNS flag day 2020).
	udpSize = 1232
	// bufferSize is more than udpSize, for servers that do not care.
	bufferSize = 4096
	// maxForged is how many replies that do not fit a query may carry before it
	// moves to TCP, where a stranger cannot answer (RFC 5452 section 9.2).
	maxForged = 4
	// tries is how often each server is asked in the time of one lookup, each
	// time with twice the patience: with 5 s for one server 0.7, 1.4, 2.9 s.
	tries = 3
)

// Errors that decide where a query goes next.
var (
	errTruncated = errors.New("truncated")
	errForged    = errors.New("replies did not fit the query")
	errNoEDNS    = errors.New("server does not know EDNS")
	errMalformed = errors.New("malformed reply")
)

// exchange asks the servers in turn until one gives a usable reply. Those that
// answer with a failure are not asked again; the silent ones are, with more
// patience. The error tells each server's last word. A server's prior counts as
// what it said when it was asked first.
func (c *Cache) exchange(ctx context.Context, s *settings, name string, qtype uint16, said prior) (*dns.Msg, *server, error) {
	if said.answered() {
		return said.msg, said.srv, nil
	}
	patience := s.patience()
	turn := s.turn(time.Now(), patience)
	words := map[*server]error{}
	for round := range tries {
		for i, srv := range turn {
			if srv == nil {
				continue
			}
			msg, err := said.msg, said.err
			if srv != said.srv || round > 0 {
				msg, err = c.askServer(ctx, s, srv, name, qtype, patience<<round)
			}
			if err == nil {
				return msg, srv, nil
			}
			words[srv] = err
			if ctx.Err() != nil {
				return nil, nil, lastWords(s, words)
			}
			if !isSilence(err) {
				turn[i] = nil
			}
		}
	}
	return nil, nil, lastWords(s, words)
}

// patience is how long a server is waited for at first. It follows from the
// configuration alone: what a caller in a hurry leaves says nothing about a
// server. All servers are asked once in the first half of the time.
func (s *settings) patience() time.Duration {
	return s.timeout / time.Duration(max(1<<tries-1, 2*len(s.servers)))
}

func lastWords(s *settings, words map[*server]error) error {
	var all error
	for _, srv := range s.servers {
		if err := words[srv]; err != nil {
			err = fmt.Errorf("%s: %w", srv.addr, err)
			if all == nil {
				all = err
			} else {
				all = fmt.Errorf("%w; %w", all, err)
			}
		}
	}
	if all == nil {
		return errors.New("no time left")
	}
	return all
}

// turn is the order in which to ask: as configured, the dead ones last. They
// are asked too when all others fail, since nothing is lost then.
func (s *settings) turn(now time.Time, patience time.Duration) []*server {
	order := make([]*server, 0, len(s.servers))
	var dead []*server
	for _, srv := range s.servers {
		if srv.ready(now, patience) {
			order = append(order, srv)
		} else {
			dead = append(dead, srv)
		}
	}
	return append(order, dead...)
}

// askServer asks one server, by UDP and where that does not do by TCP, and
// notes its health.
func (c *Cache) askServer(ctx context.Context, s *settings, srv *server, name string, qtype uint16, wait time.Duration) (*dns.Msg, error) {
	begin := time.Now()
	deadline := begin.Add(wait)
	if end, ok := ctx.Deadline(); ok && end.Before(deadline) {
		deadline = end
	}
	msg, err := c.askAs(ctx, s, srv, name, qtype, deadline, srv.edns(begin))
	if errors.Is(err, errNoEDNS) {
		srv.noEDNS(begin)
		msg, err = c.askAs(ctx, s, srv, name, qtype, deadline, false)
	}
	c.health(ctx, s, srv, begin, err)
	return msg, err
}

// health notes what came of asking a server since begin.
func (c *Cache) health(ctx context.Context, s *settings, srv *server, begin time.Time, err error) {
	if err == nil || !isSilence(err) {
		if srv.spoke() {
			c.deps.Metrics.ServersDown.Dec()
			c.deps.Log.Info("dns: server answers again", "server", srv.addr)
		}
	} else if waited := time.Since(begin) >= s.patience()*9/10; waited || ctx.Err() == nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		// A caller that gave up early says nothing about the server, whichever
		// of its deadline, its context and the closed socket was noticed first.
		if srv.silent() {
			c.deps.Metrics.ServersDown.Inc()
			c.deps.Log.Warn("dns: server is silent", "server", srv.addr, "error", err)
		}
	}
}

// isSilence reports an error that says that nobody is there.
func isSilence(err error) bool {
	var op net.Error
	return errors.As(err, &op) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe)
}

// askAs asks one server, with or without EDNS. The error is errNoEDNS where
// the server should be asked without.
func (c *Cache) askAs(ctx context.Context, s *settings, srv *server, name string, qtype uint16, deadline time.Time, edns bool) (*dns.Msg, error) {
	q := question{id: c.deps.NewID(), name: name, qtype: qtype}
	wire, err := q.pack(edns)
	if err != nil {
		return nil, err
	}
	msg, err := c.counted("udp", func() (*dns.Msg, error) { return c.byUDP(ctx, s, srv, q, wire, deadline) })
	if errors.Is(err, errTruncated) || errors.Is(err, errForged) {
		// RFC 7766 section 5
		msg, err = c.counted("tcp", func() (*dns.Msg, error) { return c.byTCP(ctx, s, srv, q, wire, deadline) })
	}
	if err != nil {
		return nil, err
	}
	if edns && (msg.Rcode == dns.RcodeFormatError || msg.Rcode == dns.RcodeNotImplemented) {
		return nil, errNoEDNS // RFC 6891 section 7
	}
	return msg, usable(msg)
}

// byUDP asks over a socket of the pool.
func (c *Cache) byUDP(ctx context.Context, s *settings, srv *server, q question, wire []byte, deadline time.Time) (*dns.Msg, error) {
	k, err := srv.take(ctx, s.dial)
	if err != nil {
		return nil, err
	}
	msg, err := c.overSocket(ctx, k, q, wire, deadline)
	if err != nil && !errors.Is(err, errTruncated) {
		_ = k.conn.Close() // a late reply must meet a closed port
		return nil, err
	}
	srv.give(k)
	return msg, err
}

func (c *Cache) overSocket(ctx context.Context, k *socket, q question, wire []byte, deadline time.Time) (*dns.Msg, error) {
	if err := k.conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	stop := interrupt(ctx, k.conn)
	if _, err := k.conn.Write(wire); err != nil {
		stop()
		return nil, err
	}
	for forged := 0; ; {
		n, err := k.conn.Read(k.buf[:])
		if err != nil {
			stop()
			return nil, err
		}
		msg, err := q.match(k.buf[:n])
		if err == nil || errors.Is(err, errTruncated) {
			if !stop() {
				return nil, os.ErrDeadlineExceeded // the deadline of k is no longer ours to set
			}
			if forged > 0 {
				k.uses = socketUses
			}
			return msg, err
		}
		c.deps.Metrics.Forged.Inc()
		if forged++; forged >= maxForged {
			stop()
			return nil, errForged
		}
	}
}

// byTCP asks over a connection of its own (RFC 1035 section 4.2.2).
func (c *Cache) byTCP(ctx context.Context, s *settings, srv *server, q question, wire []byte, deadline time.Time) (*dns.Msg, error) {
	dialing, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	conn, err := s.dial(dialing, "tcp", srv.addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	defer interrupt(ctx, conn)()
	framed := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(wire)), uint16(len(wire)))
	if _, err := conn.Write(append(framed, wire...)); err != nil {
		return nil, err
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, body); err != nil {
		return nil, err
	}
	msg, err := q.match(body)
	if err != nil {
		return nil, errMalformed
	}
	return msg, nil
}

// interrupt ends reads and writes of conn when ctx ends. Its stop reports
// whether that did not happen, and will not.
func interrupt(ctx context.Context, conn net.Conn) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
}

// question is a query that is on its way.
type question struct {
	id    uint16
	name  string // canonical
	qtype uint16
}

func (q question) pack(edns bool) ([]byte, error) {
	m := dns.Msg{
		MsgHdr: dns.MsgHdr{
			Id: q.id, RecursionDesired: true,
			AuthenticatedData: true, // asks for the AD bit without the signatures (RFC 6840 section 5.7)
		},
		Question: []dns.Question{{Name: q.name + ".", Qtype: q.qtype, Qclass: dns.ClassINET}},
	}
	if edns {
		m.SetEdns0(udpSize, false)
	}
	return m.Pack()
}

// match unpacks a message and checks that it replies to q. A truncated one is
// errTruncated; any other error means that it is no reply to q.
func (q question) match(b []byte) (*dns.Msg, error) {
	if len(b) < 12 || binary.BigEndian.Uint16(b) != q.id || b[2]&0x80 == 0 || b[2]>>3&0xf != dns.OpcodeQuery {
		return nil, errForged
	}
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil {
		if b[2]&0x02 != 0 { // cut in the middle of a record
			return nil, errTruncated
		}
		return nil, errMalformed
	}
	// A server that did not understand the query may leave the question out
	// (RFC 6891 section 7).
	if len(m.Question) == 0 && (m.Rcode == dns.RcodeFormatError || m.Rcode == dns.RcodeNotImplemented) {
		return m, nil
	}
	if len(m.Question) != 1 || m.Question[0].Qtype != q.qtype || m.Question[0].Qclass != dns.ClassINET || !sameName(m.Question[0].Name, q.name) {
		return nil, errForged
	}
	if m.Truncated {
		return nil, errTruncated
	}
	return m, nil
}
