package names

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"tenma/dnscache/dnstest"
)

// Limits of the sockets.
const (
	idleTimeout = 30 * time.Second // of a TCP connection
	maxConns    = 1024             // TCP connections at a time; more wait
	maxWaiting  = 1 << 16          // UDP replies held back by Latency; more are lost
	readers     = 2                // goroutines that read one UDP socket
)

// Run serves on UDP and TCP at an address such as "127.1.0.53:53" until ctx
// ends; it then returns nil. ready, if not nil, is called once with the
// address as it is served, when questions are answered.
func (s *Server) Run(ctx context.Context, address string, ready func(address string)) error {
	pc, ln, err := dnstest.Listen(ctx, address)
	if err != nil {
		return err
	}
	if ready != nil {
		ready(pc.LocalAddr().String())
	}
	return s.Serve(ctx, pc, ln)
}

// Serve serves on two sockets until ctx ends; it then closes them and returns
// nil. An error is of a socket that failed by itself.
func (s *Server) Serve(ctx context.Context, pc net.PacketConn, ln net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	defer context.AfterFunc(ctx, func() { _ = errors.Join(pc.Close(), ln.Close()) })()
	errs := make([]error, readers+1)
	for i := range readers {
		all.Go(func() { errs[i] = s.servePackets(ctx, pc); cancel() })
	}
	all.Go(func() { errs[readers] = s.serveStreams(ctx, ln); cancel() })
	all.Wait()
	return errors.Join(errs...)
}

// servePackets answers on UDP.
func (s *Server) servePackets(ctx context.Context, pc net.PacketConn) error {
	udp, _ := pc.(*net.UDPConn) // reads without an allocation
	in, out := make([]byte, 64<<10), make([]byte, 0, 4<<10)
	var waiting atomic.Int64
	for {
		var n int
		var to netip.AddrPort
		var from net.Addr
		var err error
		if udp != nil {
			n, to, err = udp.ReadFromUDPAddrPort(in)
		} else {
			n, from, err = pc.ReadFrom(in)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		out = s.Answer(out[:0], in[:n], true)
		if len(out) == 0 {
			continue
		}
		send := func(b []byte) { // a reply that is lost is DNS too
			if udp != nil {
				_, _ = udp.WriteToUDPAddrPort(b, to)
			} else {
				_, _ = pc.WriteTo(b, from)
			}
		}
		d := s.pause()
		if d == 0 {
			send(out)
			continue
		}
		if waiting.Add(1) > maxWaiting {
			waiting.Add(-1)
			continue
		}
		later := append([]byte(nil), out...)
		time.AfterFunc(d, func() {
			defer waiting.Add(-1)
			if ctx.Err() == nil {
				send(later)
			}
		})
	}
}

// pause is how long a reply is held back.
func (s *Server) pause() time.Duration {
	d := s.cfg.Latency
	if s.cfg.Jitter > 0 {
		d += rand.N(s.cfg.Jitter)
	}
	return d
}

// serveStreams answers on TCP (RFC 7766).
func (s *Server) serveStreams(ctx context.Context, ln net.Listener) error {
	var conns sync.WaitGroup
	defer conns.Wait()
	slots := make(chan struct{}, maxConns)
	for {
		conn, err := ln.Accept()
		if ctx.Err() != nil {
			if err == nil {
				_ = conn.Close()
			}
			return nil
		}
		if err != nil {
			return err
		}
		slots <- struct{}{}
		conns.Go(func() {
			defer func() { <-slots }()
			defer conn.Close()
			defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
			for s.serveOne(ctx, conn) == nil {
			}
		})
	}
}

// serveOne answers one query of a TCP connection.
func (s *Server) serveOne(ctx context.Context, conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(idleTimeout)); err != nil {
		return err
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return err
	}
	msg := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, msg); err != nil {
		return err
	}
	out := s.Answer([]byte{0, 0}, msg, false)
	if len(out) == 2 {
		return nil
	}
	if d := s.pause(); d > 0 {
		wait := time.NewTimer(d)
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	binary.BigEndian.PutUint16(out, uint16(len(out)-2))
	_, err := conn.Write(out)
	return err
}
