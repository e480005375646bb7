package dnstest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Limits of real sockets.
const (
	idleTimeout = 10 * time.Second // of a TCP connection
	maxConns    = 256              // TCP connections at a time; more wait
	portTries   = 20               // to find a port that is free for UDP and TCP
)

// Listen opens a UDP and a TCP socket on the same port of an address such as
// "127.0.0.1:0". Give both to Serve.
func Listen(ctx context.Context, address string) (net.PacketConn, net.Listener, error) {
	var lc net.ListenConfig
	var last error
	for range portTries {
		pc, err := lc.ListenPacket(ctx, "udp", address)
		if err != nil {
			return nil, nil, err
		}
		ln, err := lc.Listen(ctx, "tcp", pc.LocalAddr().String())
		if err == nil {
			return pc, ln, nil
		}
		last = errors.Join(err, pc.Close())
	}
	return nil, nil, fmt.Errorf("dnstest: no port for both UDP and TCP: %w", last)
}

// ListenAndServe serves on UDP and TCP at address until ctx ends; it then
// returns nil.
func (s *Server) ListenAndServe(ctx context.Context, address string) error {
	pc, ln, err := Listen(ctx, address)
	if err != nil {
		return err
	}
	return s.Serve(ctx, pc, ln)
}

// Serve serves on the sockets until ctx ends; it then closes them and returns
// nil. An error is of a socket that failed by itself.
func (s *Server) Serve(ctx context.Context, pc net.PacketConn, ln net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	stop := context.AfterFunc(ctx, func() { _ = errors.Join(pc.Close(), ln.Close()) })
	defer stop()
	var udp, tcp error
	all.Go(func() { udp = s.servePackets(ctx, pc); cancel() })
	all.Go(func() { tcp = s.serveStreams(ctx, ln); cancel() })
	all.Wait()
	return errors.Join(udp, tcp)
}

func (s *Server) servePackets(ctx context.Context, pc net.PacketConn) error {
	buf := make([]byte, 64<<10)
	for {
		n, from, err := pc.ReadFrom(buf)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		reply, delay := s.reply(buf[:n], true)
		if reply == nil {
			continue
		}
		if delay == 0 {
			_, _ = pc.WriteTo(reply, from) // a reply that is lost is DNS too
			continue
		}
		time.AfterFunc(delay, func() { _, _ = pc.WriteTo(reply, from) })
	}
}

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
	query := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, query); err != nil {
		return err
	}
	reply, delay := s.reply(query, false)
	if reply == nil {
		return nil
	}
	if delay > 0 {
		wait := time.NewTimer(delay)
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	_, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
	return err
}
