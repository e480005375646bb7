package dial

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// Delay is how long an address may be silent before the next one is tried
// beside it. RFC 8305 section 5 recommends 250 ms and allows up to 2 s; mail can
// wait, and a host far away should not see a connection that is opened and
// dropped only because its answer takes 300 ms. After a second the first packet,
// or the answer to it, is lost: that is when TCP sends it again (RFC 6298
// section 2.1).
const Delay = time.Second

// Failure is an address that no connection could be opened to.
type Failure struct {
	Addr netip.Addr
	Err  error
}

// Result is what First came to.
type Result struct {
	Conn   net.Conn // nil: none of those that were tried
	Addr   netip.Addr
	Tried  int          // how many were begun
	Failed []Failure    // in the order in which they failed
	Rest   []netip.Addr // that have not failed: to be tried if Conn is of no use
}

// First opens a connection to one of addrs, at least one, of which it tries at
// most most, in their order. It returns when one is open, when all have failed,
// or when ctx ends. Connections that lose the race are closed before it returns.
func First(ctx context.Context, addrs []netip.Addr, most int, open func(context.Context, netip.Addr) (net.Conn, error)) Result {
	most = min(most, len(addrs))
	if most == 1 { // nearly all: no goroutine
		nc, err := open(ctx, addrs[0])
		if err != nil {
			return Result{Tried: 1, Failed: []Failure{{addrs[0], err}}, Rest: addrs[1:]}
		}
		return Result{Conn: nc, Addr: addrs[0], Tried: 1, Rest: addrs[1:]}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := race{ctx: ctx, addrs: addrs, open: open, ends: make(chan end, most)}
	timer := time.NewTimer(Delay)
	defer timer.Stop()
	r.begin()
	for r.running > 0 {
		select {
		case e := <-r.ends:
			r.running--
			if e.err == nil {
				cancel()
				return r.won(e)
			}
			r.lost = append(r.lost, e)
		case <-timer.C:
		}
		if r.begun < most && ctx.Err() == nil {
			r.begin()
			timer.Reset(Delay)
		}
	}
	return r.result(nil, -1)
}

// race is one call of First, and belongs to its goroutine.
type race struct {
	ctx     context.Context
	addrs   []netip.Addr
	open    func(context.Context, netip.Addr) (net.Conn, error)
	ends    chan end // has room for all
	begun   int
	running int
	lost    []end
}

// end is what became of addrs[at].
type end struct {
	at  int
	nc  net.Conn
	err error
}

func (r *race) begin() {
	at := r.begun
	r.begun++
	r.running++
	go func() {
		nc, err := r.open(r.ctx, r.addrs[at])
		r.ends <- end{at, nc, err}
	}()
}

// won waits for those that were cancelled, since a goroutine is never left
// behind, and closes what came too late.
func (r *race) won(winner end) Result {
	for ; r.running > 0; r.running-- {
		if e := <-r.ends; e.err == nil {
			_ = e.nc.Close() // nothing was said on it
		}
	}
	return r.result(winner.nc, winner.at)
}

func (r *race) result(nc net.Conn, winner int) Result {
	res := Result{Conn: nc, Tried: r.begun}
	failed := make([]bool, len(r.addrs))
	for _, e := range r.lost {
		res.Failed = append(res.Failed, Failure{r.addrs[e.at], e.err})
		failed[e.at] = true
	}
	for i, a := range r.addrs {
		switch {
		case i == winner:
			res.Addr = a
		case !failed[i]:
			res.Rest = append(res.Rest, a)
		}
	}
	return res
}
