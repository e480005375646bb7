package relaytest

import (
	"context"
	"encoding/binary"
	"net"
	"strings"
	"testing/synctest"

	"github.com/rogpeppe/go-internal/testscript"

	wire "tenma/relay/wire/milter"
)

// Filter puts a mail filter at address. It takes every command and gives the answers at
// the end of a message: packets of the milter protocol, in which | stands for the zero
// octet and @@@1 for the index 1. With no answers it is taken away.
func (w *World) Filter(address string, answers ...string) {
	w.t.Helper()
	if stop := w.filters[address]; stop != nil {
		stop()
		delete(w.filters, address)
	}
	if len(answers) == 0 {
		return
	}
	l, err := w.Net.Listen("tcp", address)
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	ctx, stop := context.WithCancel(w.ctx)
	w.filters[address] = func() { stop(); l.Close() }
	context.AfterFunc(ctx, func() { l.Close() })
	w.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			w.wg.Go(func() {
				defer c.Close()
				defer context.AfterFunc(ctx, func() { c.Close() })()
				filter(c, answers)
			})
		}
	})
}

// filter serves one connection until the other side or the world ends it.
func filter(c net.Conn, answers []string) {
	for {
		code, _, err := wire.Read(c, nil)
		if err != nil {
			return
		}
		var out []byte
		switch code {
		case 'O':
			out = wire.AppendNegotiation(nil, wire.Negotiation{Version: wire.Version, Actions: 0x7d})
		case 'D', 'A', 'K', 'Q':
			continue
		case byte(wire.BodyEnd):
			for _, a := range answers {
				a = strings.NewReplacer("|", "\x00", "@@@1", "\x00\x00\x00\x01").Replace(a)
				out = append(binary.BigEndian.AppendUint32(out, uint32(len(a))), a...)
			}
		default:
			out = []byte{0, 0, 0, 1, byte(wire.Continue)}
		}
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}

// cmdFilter is filter ADDRESS [ANSWER...].
func cmdFilter(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1)
	for i, a := range args[1:] {
		args[1+i] = strings.ReplaceAll(a, "_", " ")
	}
	world(ts).Filter(args[0], args[1:]...)
	synctest.Wait() // its connections are closed
}
