package dnscache

import (
	"context"
	"encoding/binary"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// script is a server whose every packet a test decides.
type script struct {
	mu      sync.Mutex
	answer  func(q *dns.Msg, network string) [][]byte // packets, in order
	queries []dns.Msg
	dials   int
	open    int
	uses    map[int]int    // queries by socket
	network map[string]int // queries by network
}

func newScript(answer func(q *dns.Msg, network string) [][]byte) *script {
	return &script{answer: answer, uses: map[int]int{}, network: map[string]int{}}
}

func (s *script) Dial(_ context.Context, network, _ string) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dials++
	s.open++
	return &scriptConn{script: s, network: network, number: s.dials}, nil
}

// packed packs messages, for a script.
func packed(msgs ...*dns.Msg) [][]byte {
	var all [][]byte
	for _, m := range msgs {
		b, err := m.Pack()
		if err != nil {
			panic(err)
		}
		all = append(all, b)
	}
	return all
}

// replyTo makes a reply of a recursive server with records from zone text.
func replyTo(q *dns.Msg, records ...string) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	m.RecursionAvailable = true
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			panic(err)
		}
		if rr.Header().Rrtype == dns.TypeSOA || rr.Header().Rrtype == dns.TypeNS {
			m.Ns = append(m.Ns, rr)
		} else {
			m.Answer = append(m.Answer, rr)
		}
	}
	return m
}

type scriptConn struct {
	net.Conn // only for methods that nobody calls
	script   *script
	network  string
	number   int
	inbox    [][]byte
	deadline time.Time
	closed   bool
}

func (c *scriptConn) Write(b []byte) (int, error) {
	query := b
	if c.network == "tcp" {
		query = b[2:]
	}
	q := new(dns.Msg)
	if err := q.Unpack(query); err != nil {
		return 0, err
	}
	s := c.script
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queries = append(s.queries, *q)
	s.network[c.network]++
	s.uses[c.number]++
	for _, p := range s.answer(q, c.network) {
		if c.network == "tcp" {
			c.inbox = append(c.inbox, binary.BigEndian.AppendUint16(nil, uint16(len(p))))
		}
		c.inbox = append(c.inbox, p)
	}
	return len(b), nil
}

func (c *scriptConn) Read(b []byte) (int, error) {
	if c.closed {
		return 0, net.ErrClosed
	}
	if len(c.inbox) == 0 {
		time.Sleep(time.Until(c.deadline))
		return 0, os.ErrDeadlineExceeded
	}
	n := copy(b, c.inbox[0])
	c.inbox = c.inbox[1:]
	return n, nil
}

func (c *scriptConn) SetDeadline(t time.Time) error {
	c.deadline = t
	return nil
}

func (c *scriptConn) Close() error {
	c.script.mu.Lock()
	defer c.script.mu.Unlock()
	if !c.closed {
		c.script.open--
	}
	c.closed = true
	return nil
}

// scripted is a cache above a script.
func scripted(t *testing.T, answer func(q *dns.Msg, network string) [][]byte) (*Cache, *script) {
	t.Helper()
	s := newScript(answer)
	c, err := New(Config{Servers: []string{"192.0.2.53"}, Dial: s.Dial}, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	return c, s
}
