package demo

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tenma/bench/internet/fakenet"
	"tenma/metrics"
	"tenma/relay"
	"tenma/relay/config"
	"tenma/spool/pebblespool"
)

// options is a demo whose relay listens on a network in memory, too.
func options(t *testing.T, out io.Writer) Options {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tenma.toml")
	text := `hostname = "mx1.sender.test"
data_dir = "data"
listen = [
  { protocol = "smtp", address = "127.0.0.1:2525", relay_from = ["127.0.0.0/8"], tls = "off" },
  { protocol = "http", address = "127.0.0.1:2580" },
]
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	disk, here := vfs.NewMem(), fakenet.New()
	return Options{
		Relay: relay.Options{
			Config: c, Version: "test", FS: disk, Listen: here.Listen, Seed: 1, Log: slog.New(slog.DiscardHandler),
			OpenSpool: func(_ config.Spool, flush func() error, m *metrics.Spool, log *slog.Logger) (relay.Engine, error) {
				return pebblespool.Open(pebblespool.Options{Dir: "spool", FS: disk, BeforeSettle: flush, Metrics: m, Logger: log})
			},
		},
		Rate: 4, Out: out, For: 90 * time.Second, Hint: "In another terminal:\n  tenma queue list\n",
		Dial: func(ctx context.Context, _, address string) (net.Conn, error) {
			return here.Dial(ctx, netip.MustParseAddr("127.0.0.1"), netip.MustParseAddrPort(address))
		},
	}
}

// Ninety seconds of the demo on a terminal: every provider's manner is seen,
// each picture fits the screen, and the end says what came of it.
func TestRunOnTerminal(t *testing.T) {
	const columns, lines = 80, 24
	var out strings.Builder
	synctest.Test(t, func(t *testing.T) {
		o := options(t, &out)
		o.Size = func() (int, int) { return columns, lines }
		if err := Run(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	})
	pictures := strings.Split(out.String(), "\x1b[H")[1:]
	if len(pictures) < 80 {
		t.Fatalf("%d pictures in 90 s; want one a second", len(pictures))
	}
	last, end, _ := strings.Cut(pictures[len(pictures)-1], "\x1b[J")
	for _, p := range pictures {
		p, _, _ = strings.Cut(p, "\x1b[J")
		if n := strings.Count(p, "\n"); n >= lines {
			t.Fatalf("%d lines and the cursor's on a screen of %d:\n%s", n, lines, p)
		}
		for l := range strings.Lines(p) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(l, "\x1b[K\n")); n > columns {
				t.Fatalf("%d columns: %s", n, l)
			}
		}
	}
	for _, provider := range []string{"quickmail", "slowmail", "greylist", "strict", "oldtimer", "shaky", "home"} {
		m := regexp.MustCompile(`(?m)^` + provider + ` +(\d+) +(\d+) `).FindStringSubmatch(last)
		if m == nil || m[1] == "0" {
			t.Errorf("%s took nothing:\n%s", provider, last)
			continue
		}
		if refuses := provider == "greylist" || provider == "oldtimer" || provider == "shaky"; refuses != (m[2] != "0") {
			t.Errorf("%s refused %s messages", provider, m[2])
		}
	}
	for _, want := range []string{"SMTP at 127.0.0.1:2525", "http://127.0.0.1:2580/", "WAITING FOR", "mx.greylist.test", "tenma queue list"} {
		if !strings.Contains(last, want) {
			t.Errorf("the last picture has no %q:\n%s", want, last)
		}
	}
	m := regexp.MustCompile(`(\d+) messages went in; the providers took (\d+)`).FindStringSubmatch(end)
	if m == nil {
		t.Fatalf("the end says %q", end)
	}
	in, _ := strconv.Atoi(m[1])
	took, _ := strconv.Atoi(m[2])
	if in < 300 || took < in*3/4 {
		t.Errorf("%d in, %d taken; want 4 a second for 90 s, most of them taken", in, took)
	}
}

// Without a terminal there is a plain line every five seconds.
func TestRunWithoutTerminal(t *testing.T) {
	var out strings.Builder
	synctest.Test(t, func(t *testing.T) {
		o := options(t, &out)
		o.For = 21 * time.Second
		if err := Run(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	})
	if strings.Contains(out.String(), "\x1b") {
		t.Errorf("terminal sequences in %q", out.String())
	}
	if n := strings.Count(out.String(), " queued "); n != 5 {
		t.Errorf("%d lines, want one at the start and four in 21 s:\n%s", n, out.String())
	}
}
