package source

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"tenma/bench/internet"
	"tenma/bench/internet/fakenet"
	"tenma/bench/load"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a mail server in memory and what it took.
type server struct {
	net *fakenet.Net
	rcv *internet.Receiver

	mu  sync.Mutex
	got []internet.Message
}

const at = "192.0.2.25:25"

// serve runs a receiver with a manner, given in words, until the test ends.
func serve(t *testing.T, words string) *server {
	t.Helper()
	m, err := internet.ParseManner(strings.Fields(words), internet.SelfSigned("mx.test"))
	if err != nil {
		t.Fatal(err)
	}
	sv := &server{net: fakenet.New()}
	l, err := sv.net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	sv.rcv = internet.NewReceiver("mx.test", m, 1, func(m internet.Message) {
		sv.mu.Lock()
		defer sv.mu.Unlock()
		sv.got = append(sv.got, m)
	})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { sv.rcv.Serve(ctx, l) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return sv
}

// source makes a source of words that sends to sv.
func (sv *server) source(t *testing.T, words string) *Source {
	t.Helper()
	c, err := Parse(strings.Fields("address=" + at + " run=r1 " + words))
	if err != nil {
		t.Fatal(err)
	}
	c.Dial = func(ctx context.Context, local netip.Addr, address string) (net.Conn, error) {
		return sv.net.Dial(ctx, local, netip.MustParseAddrPort(address))
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// run sends a load of words to a receiver with a manner.
func run(t *testing.T, manner, words string, check func(sv *server, s *Source, r load.Result, err error)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		sv := serve(t, manner)
		s := sv.source(t, words)
		r, err := s.Run(t.Context())
		check(sv, s, r, err)
	})
}

// Every way to send brings each message over once, whole, with its tag.
func TestWaysToSend(t *testing.T) {
	for _, words := range []string{
		"", "pipeline=on", "pipeline=across", "bdat", "bdat pipeline=on", "bdat pipeline=across window=3",
		"per-session=0 pipeline=across", "per-session=1 pipeline=across", "bdat per-session=1 pipeline=across",
		"recipients=3 pipeline=across", "recipients=3", "lmtp recipients=2", "lmtp recipients=2 pipeline=across", "lmtp recipients=2 pipeline=on bdat",
		"tls=starttls pipeline=across", "tls=starttls bdat pipeline=on size=100KiB", "size=64KiB", "size=64KiB pipeline=across", "size=1MiB bdat pipeline=on", "size=3MiB", "size=10",
		"rate=200 pipeline=across", "rate=200 spacing=constant bdat pipeline=across", "rate=100..1000/100ms",
	} {
		t.Run(words, func(t *testing.T) {
			manner := "tls"
			if strings.Contains(words, "lmtp") {
				manner = "lmtp"
			}
			count := 60
			if strings.Contains(words, "MiB") {
				count = 5
			}
			run(t, manner, "sessions=4 per-session=7 count=60 "+words+" count="+strconv.Itoa(count), func(sv *server, s *Source, r load.Result, err error) {
				if err != nil || r.Accepted != int64(count) || r.SoftErrors+r.HardErrors+r.ConnErrors != 0 {
					t.Fatalf("accepted %d, soft %d, hard %d, connections %d, %q; %v", r.Accepted, r.SoftErrors, r.HardErrors, r.ConnErrors, r.FirstError, err)
				}
				sv.wantAll(t, s, count)
			})
		})
	}
}

// wantAll checks that messages 0 to count-1 arrived once each and as they
// should be.
func (sv *server) wantAll(t *testing.T, s *Source, count int) {
	t.Helper()
	sv.mu.Lock()
	defer sv.mu.Unlock()
	seen := map[uint32]bool{}
	for _, m := range sv.got {
		header, _, ok := strings.Cut(string(m.Data), "\r\n\r\n")
		value, _, _ := strings.Cut(strings.TrimPrefix(header, load.Field+":"), "\r\n")
		tag, tagged := load.ParseTag(value)
		switch {
		case !ok || !tagged || tag.Run != "r1":
			t.Fatalf("message without header or tag: %q", header)
		case seen[tag.N]:
			t.Errorf("message %d came twice", tag.N)
		case !strings.Contains(header, "Message-ID: <r1."+strconv.Itoa(int(tag.N))+"@"):
			t.Errorf("message %d: %q", tag.N, header)
		case len(m.To) != s.cfg.Recipients:
			t.Errorf("message %d has recipients %v", tag.N, m.To)
		case m.Chunking != s.cfg.BDAT, m.TLS != (s.cfg.TLS != TLSNone):
			t.Errorf("message %d: chunking %v, TLS %v", tag.N, m.Chunking, m.TLS)
		case s.cfg.Corpus == "" && len(s.cfg.Size) == 1 && len(m.Data) != max(s.cfg.Size[0].Octets, len(header)+4):
			t.Errorf("message %d has %d octets", tag.N, len(m.Data))
		case strings.Contains(strings.ReplaceAll(string(m.Data), "\r\n", ""), "\n"), strings.Contains(strings.ReplaceAll(string(m.Data), "\r\n", ""), "\r"):
			t.Errorf("message %d has a bare CR or LF", tag.N)
		case s.acks.At(tag.N) == 0:
			t.Errorf("message %d is not known as accepted", tag.N)
		}
		seen[tag.N] = true
	}
	if len(seen) != count {
		t.Errorf("%d messages arrived, want %d", len(seen), count)
	}
}
