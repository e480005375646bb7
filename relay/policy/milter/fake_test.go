package milter

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tenma/metrics"
	"tenma/relay/mail"
	wire "tenma/relay/wire/milter"
	"tenma/relay/wire/smtp"
)

// fake is a filter. It answers each command with the packets that answers has for it,
// "c" where it has none, and writes down what it hears.
type fake struct {
	version, actions uint32
	steps            wire.Steps
	answers          map[string][]string // by the command's octet, or that and its text
	silent           map[string]bool     // commands that get no answer at all
	slow             time.Duration       // before each answer

	mu    sync.Mutex
	heard []string
	dials int
	fail  error          // of connecting
	hang  bool           // connecting takes for ever
	raw   func(net.Conn) // what is said instead of a dialogue
	once  bool           // the connection is closed behind the first message
	open  sync.WaitGroup
}

func (f *fake) dial(ctx context.Context, network, address string) (net.Conn, error) {
	f.mu.Lock()
	f.dials++
	f.mu.Unlock()
	if f.hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if f.fail != nil {
		return nil, f.fail
	}
	ours, theirs := net.Pipe()
	f.open.Go(func() {
		defer theirs.Close()
		if f.raw != nil {
			f.raw(theirs)
			return
		}
		f.serve(theirs)
	})
	return ours, nil
}

func packet(p string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(p))), p...)
}

func (f *fake) serve(c net.Conn) {
	for {
		var n [4]byte
		if _, err := io.ReadFull(c, n[:]); err != nil {
			return
		}
		p := make([]byte, binary.BigEndian.Uint32(n[:]))
		if _, err := io.ReadFull(c, p); err != nil {
			return
		}
		command, text := string(p[:1]), string(p)
		f.mu.Lock()
		f.heard = append(f.heard, strings.ReplaceAll(text, "\x00", "|"))
		f.mu.Unlock()
		switch command {
		case "O":
			v := f.version
			if v == 0 {
				v = wire.Version
			}
			answer := wire.AppendNegotiation(nil, wire.Negotiation{Version: v, Actions: wire.Actions(f.actions), Steps: f.steps})
			if _, err := c.Write(answer); err != nil {
				return
			}
			continue
		case "D", "A", "K", "Q":
			continue
		}
		if f.silent[command] {
			continue
		}
		time.Sleep(f.slow)
		answers, ok := f.answers[strings.TrimRight(text, "\x00")]
		if !ok {
			answers, ok = f.answers[command]
		}
		if !ok {
			answers = []string{"c"}
		}
		var all []byte
		for _, a := range answers {
			all = append(all, packet(a)...)
		}
		if _, err := c.Write(all); err != nil {
			return
		}
		if f.once && command == "E" {
			return
		}
	}
}

// said gives what the filter heard, without macros and negotiation.
func (f *fake) said() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for _, h := range f.heard {
		if h[0] != 'D' && h[0] != 'O' {
			out = append(out, strings.TrimSuffix(h, "|"))
		}
	}
	return strings.Join(out, " ")
}

const allActions = 0x1ff

// rig is an Adviser with fakes as its filters, in their order.
type rig struct {
	*Adviser
	metrics *metrics.Milter
	reg     *prometheus.Registry
	filters []Filter
}

func newRig(t *testing.T, change func(*Filter), fakes ...*fake) *rig {
	t.Helper()
	r := &rig{reg: prometheus.NewRegistry()}
	r.metrics = metrics.NewMilter(r.reg)
	for i := range fakes {
		f := Filter{Name: fmt.Sprintf("f%d", i), Network: "unix", Address: fmt.Sprint(i)}
		if change != nil {
			change(&f)
		}
		r.filters = append(r.filters, f)
	}
	r.Adviser = New(Config{Hostname: "mx.test", Filters: r.filters}, Deps{
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			var i int
			fmt.Sscan(address, &i)
			return fakes[i].dial(ctx, network, address)
		},
		Metrics: r.metrics,
	})
	t.Cleanup(func() {
		r.Close()
		for _, f := range fakes {
			f.open.Wait()
		}
	})
	return r
}

// count is how often a filter had a result.
func (r *rig) count(t *testing.T, filter, result string) int {
	t.Helper()
	all, err := r.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if m.GetCounter() != nil && labels["filter"] == filter && labels["result"] == result {
				return int(m.GetCounter().GetValue())
			}
		}
	}
	t.Fatalf("no count of %s, %s", filter, result)
	return 0
}

func envelope() *mail.Envelope {
	return &mail.Envelope{
		Sender:     smtp.Address{Local: "a", Domain: "a.test"},
		Recipients: []mail.Recipient{{Address: smtp.Address{Local: "b", Domain: "b.test"}, ORcpt: "rfc822;b"}, {Address: smtp.Address{Local: "c", Domain: "c.test"}}},
		Client:     netip.MustParseAddrPort("192.0.2.1:4711"), HELO: "client.test", Listener: "127.0.0.1:25",
	}
}

const (
	section = "From: a@a.test\r\nSubject: one\r\n two\r\n"
	body    = "Hello\r\n"
)

// inspect asks about a small message, in memory or as a stream.
func (r *rig) inspect(t *testing.T, e *mail.Envelope, stream bool) Verdict {
	t.Helper()
	if !stream {
		return r.Inspect(t.Context(), about(e), []byte(body))
	}
	i := r.Begin(t.Context(), about(e))
	if i == nil {
		return Verdict{}
	}
	i.Write([]byte(body[:3]))
	i.Write([]byte(body[3:]))
	return i.End()
}

func refusal(v Verdict) string {
	if v.Refuse == nil {
		return ""
	}
	return v.Refuse.Reply.String()
}

func about(e *mail.Envelope) Message {
	return Message{ID: "ID", Envelope: e, Section: []byte(section)}
}
