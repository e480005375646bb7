package letter

import (
	"bytes"
	"compress/gzip"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func set(t *testing.T, change func(*Config)) *Set {
	t.Helper()
	c := Config{Run: "r1", Seed: 1, From: "a@src.test", Users: 100, Domains: Domains{{Name: "x.test", Count: 1, Weight: 1}}, Sizes: Sizes{{Octets: 4096, Weight: 1}}, Stuffed: true}
	change(&c)
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func octets(m Message) []byte {
	b := bytes.Clone(m.Head)
	m.Body(func(p []byte) { b = append(b, p...) })
	return b
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// A message has the size that was asked for, whatever its number and size, and
// lines that every server takes.
func TestSizesAreExact(t *testing.T) {
	s := set(t, func(*Config) {})
	w := s.Writer()
	for size := 300; size < 600; size++ {
		for _, n := range []uint32{0, 9, 12345, 1<<25 - 1} {
			s.cfg.Sizes[0].Octets = size
			checkMessage(t, w.Message(n, noon), size)
		}
	}
	for _, size := range []int{65536, 1 << 20, len(s.text), len(s.text) + 1000, 3*len(s.text) + 77} {
		s.cfg.Sizes[0].Octets = size
		checkMessage(t, w.Message(uint32(size), noon), size)
	}
	s.cfg.Sizes[0].Octets = 10
	if b := octets(w.Message(1, noon)); !bytes.HasSuffix(b, []byte("\r\n\r\n")) {
		t.Errorf("a small message ends with %q", b[len(b)-10:])
	}
}

func checkMessage(t *testing.T, m Message, size int) {
	t.Helper()
	b := octets(m)
	if len(b) != size || m.Size() != size {
		t.Fatalf("%d octets, Size %d, want %d", len(b), m.Size(), size)
	}
	if !bytes.HasSuffix(b, []byte("\r\n")) {
		t.Fatalf("%d octets end with %q", size, b[len(b)-5:])
	}
	for line := range bytes.Lines(b) {
		body, ok := bytes.CutSuffix(line, []byte("\r\n"))
		if !ok || bytes.ContainsAny(body, "\r\n") || len(body) > lineLength+1 || bytes.HasPrefix(body, []byte(".")) {
			t.Fatalf("%d octets: line %q", size, line)
		}
	}
}

// The text compresses as mail does, alone and with others like it.
func TestCompression(t *testing.T) {
	s := set(t, func(*Config) {})
	w := s.Writer()
	ratio := func(from, to uint32) float64 {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		in := 0
		for n := from; n < to; n++ {
			k, _ := z.Write(octets(w.Message(n, noon)))
			in += k
		}
		z.Close()
		return float64(b.Len()) / float64(in)
	}
	alone := 0.0
	for n := range uint32(50) {
		alone += ratio(n, n+1) / 50
	}
	if together := ratio(0, 50); alone < 0.6 || alone > 0.8 || together < 0.6 || together > 0.8 {
		t.Errorf("gzip makes %.2f of one message, %.2f of fifty", alone, together)
	}
}

// Shares come out as their weights say.
func TestMix(t *testing.T) {
	ds, err := ParseDomains("big.test=60,small.test/100=30,tail.test/1000~1.2=10")
	if err != nil {
		t.Fatal(err)
	}
	sizes, err := ParseSizes("1KiB=80,2KiB=15,3KiB=5")
	if err != nil {
		t.Fatal(err)
	}
	s := set(t, func(c *Config) { c.Domains, c.Sizes = ds, sizes })
	w := s.Writer()
	const total = 20_000
	count := map[string]float64{}
	size := map[int]float64{}
	for n := range uint32(total) {
		a := string(s.AppendRecipient(nil, n, 0))
		_, domain, _ := strings.Cut(a, "@")
		count[domain]++
		_, parent, many := strings.Cut(domain, ".")
		if many && strings.HasPrefix(domain, "d") {
			count["*."+parent]++
		}
		m := w.Message(n, noon)
		size[m.Size()]++
	}
	for name, want := range map[string]float64{
		"big.test": 0.6, "*.small.test": 0.3, "*.tail.test": 0.1, "d7.small.test": 0.003, "d0.tail.test": 0.1 * 0.231, "d9.tail.test": 0.1 * 0.231 / math.Pow(10, 1.2),
	} {
		if got := count[name] / total; math.Abs(got-want) > 0.1*want+0.001 {
			t.Errorf("%s: %.4f, want %.4f", name, got, want)
		}
	}
	for octets, want := range map[int]float64{1024: 0.8, 2048: 0.15, 3072: 0.05} {
		if got := size[octets] / total; math.Abs(got-want) > 0.1*want {
			t.Errorf("size %d: %.3f, want %.3f", octets, got, want)
		}
	}
	if ds.Total() != 1101 {
		t.Errorf("%d domains", ds.Total())
	}
}

// Domains without weights come in turns: each as often as any other.
func TestDomainsInTurns(t *testing.T) {
	s := set(t, func(c *Config) { c.Domains = Domains{{Name: "x.test", Count: 1_000_000, Weight: 1}}; c.Users = 3 })
	for n, want := range map[uint32]string{0: "u0@d0.x.test", 999_999: "u0@d999999.x.test", 1_000_001: "u2@d1.x.test"} {
		if got := string(s.AppendRecipient(nil, n, 0)); got != want {
			t.Errorf("message %d to %s, want %s", n, got, want)
		}
	}
	if got := string(s.AppendRecipient(nil, 0, 2)); got != "u2@d0.x.test" {
		t.Errorf("third recipient %s", got)
	}
}

// A message costs no allocation.
func TestNoGarbage(t *testing.T) {
	s := set(t, func(c *Config) { c.Domains[0].Count = 1000 })
	w := s.Writer()
	w.Message(0, noon)
	buf, n, total := make([]byte, 0, 1<<20), uint32(0), 0
	if a := testing.AllocsPerRun(1000, func() {
		n++
		buf = s.AppendRecipient(buf[:0], n, 0)
		m := w.Message(n, noon)
		m.Body(func(p []byte) { total += len(p) })
	}); a > 0 {
		t.Errorf("%v allocations a message", a)
	}
}

func TestCorpus(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a.eml", "Subject: a\nMESSAGE-id : <old@x>\n\t(folded)\nX-Bench: old 1\nTo: b\r\n\n.dot\n..\nMessage-ID: of the body\nend")
	write("sub/b.EML", "Subject: \xc3\xa9\n\nx")
	write("c.txt", "no message")
	for stuffed, want := range map[bool]string{
		true:  "Subject: a\r\nTo: b\r\n\r\n..dot\r\n...\r\nMessage-ID: of the body\r\nend\r\n",
		false: "Subject: a\r\nTo: b\r\n\r\n.dot\r\n..\r\nMessage-ID: of the body\r\nend\r\n",
	} {
		s := set(t, func(c *Config) { c.Corpus, c.Stuffed = dir, stuffed })
		w := s.Writer()
		seen := map[string]bool{}
		for n := range uint32(20) {
			b := string(octets(w.Message(n, noon)))
			head, rest, ok := strings.Cut(b, "@source.test>\r\n")
			if !ok || !strings.HasPrefix(head, "X-Bench: r1 ") {
				t.Fatalf("message %q", b)
			}
			seen[rest] = true
			if eight := strings.Contains(rest, "\xc3"); s.Eight(n) != eight {
				t.Errorf("message %d: Eight is %v", n, !eight)
			}
		}
		if len(seen) != 2 || !seen[want] || !seen["Subject: \xc3\xa9\r\n\r\nx\r\n"] {
			t.Errorf("messages %v", seen)
		}
	}
	for _, empty := range []string{t.TempDir(), filepath.Join(dir, "missing")} {
		if _, err := New(Config{Corpus: empty, Domains: Domains{{Name: "x", Count: 1, Weight: 1}}}); err == nil {
			t.Error("a folder without messages is taken")
		}
	}
}

// FuzzFile: whatever a file holds, it becomes lines that end with CRLF, and
// with doubled dots nothing in it ends the message.
func FuzzFile(f *testing.F) {
	f.Add([]byte("A: b\n\n.\r\n.\rx"))
	f.Add([]byte("Message-ID:\n x\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		text := newFile(b, true).text
		if len(text) > 0 && !bytes.HasSuffix(text, []byte("\r\n")) || bytes.HasPrefix(text, []byte(".\r\n")) || bytes.Contains(text, []byte("\r\n.\r\n")) {
			t.Errorf("%q became %q", b, text)
		}
		if rest := bytes.ReplaceAll(text, []byte("\r\n"), nil); bytes.ContainsAny(rest, "\r\n") {
			t.Errorf("%q has a bare CR or LF", text)
		}
	})
}
