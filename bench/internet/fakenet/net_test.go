package fakenet_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"tenma/bench/internet/fakenet"
)

func pair(t *testing.T, n *fakenet.Net) (client, server net.Conn) {
	t.Helper()
	l, err := n.Listen("tcp", "192.0.2.25:25")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = n.Dial(context.Background(), netip.Addr{}, netip.MustParseAddrPort("192.0.2.25:25"))
	if err != nil {
		t.Fatal(err)
	}
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return client, server
}

func TestTalkAndEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := pair(t, fakenet.New())
		big := make([]byte, 1<<20) // more than the buffers hold
		go func() {
			c.Write(big)
			c.Close()
		}()
		got, err := io.ReadAll(s)
		if err != nil || len(got) != len(big) {
			t.Errorf("read %d octets, %v", len(got), err)
		}
		if _, err := s.Write([]byte("x")); err == nil {
			t.Error("writing to a closed peer did not fail")
		}
		s.Close()
	})
}

func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := pair(t, fakenet.New())
		defer s.Close()
		start := time.Now()
		c.SetReadDeadline(start.Add(time.Minute))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read: %v", err)
		}
		c.SetWriteDeadline(time.Now().Add(time.Minute))
		if _, err := c.Write(make([]byte, 1<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write: %v", err)
		}
		if d := time.Since(start); d != 2*time.Minute {
			t.Errorf("took %v", d)
		}
		c.SetDeadline(time.Time{})
		s.Write([]byte("x"))
		if n, err := c.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Errorf("after the deadline was lifted: %d, %v", n, err)
		}
		c.Close()
	})
}

func TestRefusedResetAndBlackhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := fakenet.New()
		to := netip.MustParseAddrPort("192.0.2.99:25")
		if _, err := n.Dial(t.Context(), netip.Addr{}, to); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("nobody listens: %v", err)
		}
		n.Blackhole(to.Addr(), true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := n.Dial(ctx, netip.Addr{}, to); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("black hole: %v", err)
		}
		c, s := pair(t, n)
		s.(interface{ Reset() }).Reset()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("reset: %v", err)
		}
		c.Close()
	})
}
