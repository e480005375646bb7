package delivery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
)

// What stands in the queue when there is no connection names the cause, and the
// port where it is unusual.
func TestNoConnectionSaysWhy(t *testing.T) {
	dial := func(err error) error {
		return dialError{&net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}}
	}
	for _, c := range []struct {
		port uint16
		err  error
		want string
	}{
		{25, dial(syscall.ECONNREFUSED), "no connection to mx.test: connection refused"},
		{587, dial(syscall.EHOSTUNREACH), "no connection to mx.test port 587: unreachable"},
		{25, dial(syscall.ENETUNREACH), "no connection to mx.test: unreachable"},
		{25, dial(syscall.ETIMEDOUT), "no connection to mx.test: no answer"},
		{25, dialError{fmt.Errorf("dial: %w", context.DeadlineExceeded)}, "no connection to mx.test: no answer"},
		{25, dialError{errors.New("odd")}, "no connection to mx.test"},
	} {
		at := place{host: "mx.test", peer: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), c.port)}
		if got := judge(&at, finding{command: cmdConnect, err: c.err}).Reply.Text; got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}
