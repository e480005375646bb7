package internet

import (
	"bufio"
	"context"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// Message is one message that a Receiver took.
type Message struct {
	At       time.Time
	Receiver string // its name
	From     string // as in MAIL FROM:<...>
	MailArgs string // what stood behind it
	To       []string
	RcptArgs []string // parallel to To
	Data     []byte   // as received, dots unstuffed, CRLF line ends
	TLS      bool
	Chunking bool   // came by BDAT
	User     string // who had logged in
}

// Receiver is one receiving host. Its methods may be called at any time.
type Receiver struct {
	Name string // said in banner and EHLO

	take func(Message)

	mu     sync.Mutex
	manner Manner
	seen   map[string]time.Time // for Greylist, by sender and recipient
	conns  int
	count  Counts
	random *rand.Rand
}

// Counts are what a receiver has seen.
type Counts struct{ Connections, Messages, Recipients, Refused int64 }

// NewReceiver makes a host. take is called for each message that got a 2yz
// after its end, before the reply goes out; it may be nil.
func NewReceiver(name string, m Manner, seed uint64, take func(Message)) *Receiver {
	return &Receiver{Name: name, manner: m.clone(), take: take, seen: map[string]time.Time{}, random: rand.New(rand.NewPCG(seed, 1))}
}

// SetManner changes how the host behaves from the next command on.
func (r *Receiver) SetManner(m Manner) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.manner = m.clone()
}

// Counts gives what the host has seen so far.
func (r *Receiver) Counts() Counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count
}

// Serve takes connections from l until ctx is cancelled, then closes l and the
// connections, and returns when their goroutines have ended.
func (r *Receiver) Serve(ctx context.Context, l net.Listener) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			return err
		}
		wg.Go(func() {
			done := context.AfterFunc(ctx, func() { c.Close() })
			defer done()
			defer c.Close()
			r.converse(ctx, c)
		})
	}
}

func (r *Receiver) converse(ctx context.Context, c net.Conn) {
	r.mu.Lock()
	r.conns++
	r.count.Connections++
	manner := r.manner
	full := manner.MaxConns > 0 && r.conns > manner.MaxConns
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.conns--
		r.mu.Unlock()
	}()
	c = manner.Road(ctx, c, r.chance)
	defer c.Close() // what is on the road arrives first
	s := &session{r: r, ctx: ctx, conn: c, in: bufio.NewReaderSize(c, 64<<10), out: bufio.NewWriterSize(c, 4<<10)}
	if full {
		s.write("421 4.7.0 " + r.Name + " Too many connections")
		s.out.Flush()
		return
	}
	s.run()
}

func (r *Receiver) current() Manner {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.manner
}

// judge gives the reply to a RCPT that Manner.Say leaves alone.
func (r *Receiver) judge(m *Manner, from, to, local string) string {
	if reply, ok := m.Users[local]; ok {
		return reply
	}
	if m.Unknown > 0 && part(to) < m.Unknown {
		return "550 5.1.1 <" + to + "> User unknown"
	}
	if m.Greylist > 0 {
		key := from + "\n" + to
		r.mu.Lock()
		first, known := r.seen[key]
		if !known {
			first = time.Now()
			r.seen[key] = first
		}
		r.mu.Unlock()
		if time.Since(first) < m.Greylist {
			return "451 4.7.1 Greylisted, please try again later"
		}
	}
	return "250 2.1.5 Ok"
}

// part maps a text to [0,1), the same each time.
func part(s string) float64 {
	h := fnv.New64a()
	h.Write([]byte(s))
	return float64(h.Sum64()>>11) / (1 << 53)
}

// chance gives a number in [0,1).
func (r *Receiver) chance() float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.random.Float64()
}

func (r *Receiver) unlucky(p float64) bool { return p > 0 && r.chance() < p }

func (r *Receiver) note(refused bool, m *Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if refused {
		r.count.Refused++
		return
	}
	if m != nil {
		r.count.Messages++
		r.count.Recipients += int64(len(m.To))
	}
}
