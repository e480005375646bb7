package flame

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/pprof/profile"
)

var update = flag.Bool("update", false, "write the golden files anew")

// stack is a sample of the profiles that tests make, the outermost call first.
// Calls parted by "+" stand at one place: the later ones were put into the first
// by the compiler.
type stack struct {
	samples int64
	calls   string
}

// made makes a profile as Go's runtime writes them.
func made(all ...stack) *profile.Profile {
	p := &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}},
		PeriodType: &profile.ValueType{Type: "cpu", Unit: "nanoseconds"}, Period: 10e6, DurationNanos: 2e9,
		Mapping: []*profile.Mapping{{ID: 1, Start: 1, Limit: 1 << 40, HasFunctions: true}},
	}
	functions, places := map[string]*profile.Function{}, map[string]*profile.Location{}
	for _, s := range all {
		one := &profile.Sample{Value: []int64{s.samples, s.samples * 10e6}}
		for place := range strings.FieldsSeq(s.calls) {
			l := places[place]
			if l == nil {
				l = &profile.Location{ID: uint64(len(places) + 1), Mapping: p.Mapping[0], Address: uint64(len(places) + 100)}
				for name := range strings.SplitSeq(place, "+") {
					if name == "?" {
						continue
					}
					f := functions[name]
					if f == nil {
						f = &profile.Function{ID: uint64(len(functions) + 1), Name: name}
						functions[name] = f
						p.Function = append(p.Function, f)
					}
					l.Line = append([]profile.Line{{Function: f}}, l.Line...)
				}
				places[place] = l
				p.Location = append(p.Location, l)
			}
			one.Location = append([]*profile.Location{l}, one.Location...)
		}
		p.Sample = append(p.Sample, one)
	}
	return p
}

func written(t testing.TB, p *profile.Profile) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const (
	sysWrite = " internal/poll.(*FD).Write syscall.Write+syscall.write syscall.Syscall internal/runtime/syscall/linux.Syscall6"
	sysRead  = " internal/poll.(*FD).Read syscall.Read+syscall.read syscall.Syscall internal/runtime/syscall/linux.Syscall6"
	serve    = "github.com/emersion/go-smtp.(*Server).Serve.func1 github.com/emersion/go-smtp.(*Conn).handle "
	front    = serve + "tenma/relay/ingress/front.(*Conn).Read tenma/relay/ingress/front.(*Conn).fill "
	client   = "tenma/relay/queue.(*shard).carry tenma/relay/delivery.(*session).run tenma/relay/delivery/client.(*Conn).Flush "
	pebble   = "github.com/cockroachdb/pebble/v2"
	commit   = "tenma/spool/pebblespool.(*Spool).commitLoop " + pebble + ".(*DB).Apply "
)

// small is a profile with something of all that rules name.
func small() *profile.Profile {
	return made(
		stack{30, front + "net.(*conn).Write net.(*netFD).Write" + sysWrite},
		stack{14, client + "net.(*conn).Write net.(*netFD).Write" + sysWrite},
		stack{9, front + "net.(*conn).Read net.(*netFD).Read" + sysRead},
		stack{2, front + "net.(*conn).Read net.(*netFD).Read" + sysRead + " runtime.exitsyscall"},
		stack{7, "runtime/pprof.Do " + pebble + "/record.(*LogWriter).flushLoop tenma/spool/pebblespool/disk.(*fencedFile).SyncData golang.org/x/sys/unix.Fdatasync syscall.Syscall internal/runtime/syscall/linux.Syscall6"},
		stack{3, pebble + "/record.(*LogWriter).flushLoop os.(*File).Write+os.(*File).write" + sysWrite},
		stack{6, commit + pebble + ".(*memTable).apply " + pebble + "/internal/arenaskl.(*Skiplist).Add runtime.memmove"},
		stack{1, commit + pebble + ".(*commitPipeline).Commit"},
		stack{20, "sync.(*WaitGroup).Go.func1 tenma/relay/policy/dkim.(*Signer).Sign tenma/relay/policy/dkim/libcrypto.(*signer).sign github.com/ebitengine/purego.SyscallN runtime.cgocall"},
		stack{1, "tenma/relay/policy/dkim.(*Signer).Sign crypto/sha256.(*Digest).Write"},
		stack{4, "runtime.gcBgMarkWorker runtime.systemstack runtime.gcDrain runtime.scanobject"},
		stack{2, serve + "runtime.mallocgc runtime.gcAssistAlloc runtime.gcDrainN"},
		stack{5, serve + "tenma/relay/intake.(*Server).Accept runtime.makeslice runtime.mallocgc"},
		stack{3, "runtime.mcall runtime.park_m runtime.schedule runtime.findRunnable"},
		stack{2, "runtime.mcall runtime.park_m runtime.schedule runtime.findRunnable runtime.netpoll internal/runtime/syscall/linux.EpollWait internal/runtime/syscall/linux.Syscall6"},
		stack{1, "runtime.mcall runtime.stopm runtime.futex"},
		stack{3, serve + "strings.ToUpper"},
		stack{2, client + "tenma/relay/queue/mailbox.(*Box[go.shape.struct{a/b.c}]).Post runtime.memmove"},
		stack{1, "?"},
		stack{1, "strings.<&\x1b[2J>"},
	)
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(file, got, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s (go test -update writes it anew): %s", name, d)
	}
}

// The whole way: read, sorted into costs, drawn.
func TestSmall(t *testing.T) {
	p, err := Read(bytes.NewReader(written(t, small())))
	if err != nil {
		t.Fatal(err)
	}
	if p.Samples != 117 || p.CPU != 1170*time.Millisecond || p.Lasted != 2*time.Second {
		t.Errorf("%d samples, %v in %v", p.Samples, p.CPU, p.Lasted)
	}
	var table strings.Builder
	for _, row := range Rows(p.Costs(100)) {
		fmt.Fprintln(&table, strings.Join(row, " | "))
	}
	golden(t, "costs.txt", []byte(table.String()))
	drawing := p.SVG("A <small> one", p.Costs(6))
	golden(t, "small.svg", []byte(drawing))
	wellFormed(t, drawing)
	text, err := json.MarshalIndent(p.Costs(2), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "costs.json", text)
}

func wellFormed(t *testing.T, drawing string) {
	t.Helper()
	x := xml.NewDecoder(strings.NewReader(drawing))
	for {
		if _, err := x.Token(); err == io.EOF {
			return
		} else if err != nil {
			t.Fatalf("no XML: %v", err)
		}
	}
}

// Every sample counts once, however few costs are named; the rest is told only
// if it is more than one.
func TestCosts(t *testing.T) {
	p, err := Read(bytes.NewReader(written(t, small())))
	if err != nil {
		t.Fatal(err)
	}
	whole := len(p.Costs(100))
	for n := range whole + 2 {
		all := p.Costs(n)
		var sum int64
		var shares float64
		for _, c := range all {
			sum += c.Samples
			shares += c.Share
		}
		if want := min(max(n, 1)+1, whole); len(all) != want || sum != p.Samples || shares < 0.9999 || shares > 1.0001 {
			t.Errorf("%d asked for: %d costs, not %d, of %d samples, shares %f", n, len(all), want, sum, shares)
		}
		if last := all[len(all)-1]; (last.Name == "the rest") != (n < whole-1) {
			t.Errorf("%d asked for: the last is %q", n, last.Name)
		}
	}
}

// The same calls, noted several times, are one box; so are those of different
// places in one function.
func TestMerge(t *testing.T) {
	p, err := Read(bytes.NewReader(written(t, made(stack{1, "a.A b.B"}, stack{2, "a.A b.B c.C"}, stack{4, "a.A+b.B"}, stack{8, "b.B"}, stack{0, "d.D"}))))
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	var tell func(n *node, by int)
	tell = func(n *node, by int) {
		told = append(told, fmt.Sprintf("%*s%s %d", by, "", n.function, n.samples))
		for _, c := range n.callees {
			tell(c, by+1)
		}
	}
	root := p.merge(0)
	tell(root, 0)
	if d := cmp.Diff([]string{"all 15", " b.B 8", " a.A 7", "  b.B 7", "   c.C 2"}, told); d != "" || root.depth() != 4 {
		t.Errorf("%d rows: %s", root.depth(), d)
	}
	if n := len(p.merge(50 * time.Millisecond).callees[1].callees[0].callees); n != 0 {
		t.Error("what is too narrow is not left out")
	}
}

func TestNames(t *testing.T) {
	for function, want := range map[string]string{
		"net/http.(*conn).serve": "net/http", "main.main": "main", "memeqbody": "runtime", "tenma/relay.New": "tenma/relay",
		"tenma/relay/queue/mailbox.(*Box[go.shape.struct{a/b.c}]).Post": "tenma/relay/queue/mailbox",
		"slices.SortFunc[go.shape.[]a/b.c]":                             "slices", "gopkg.in/yaml%2ev3.Unmarshal": "gopkg.in/yaml.v3", "": "runtime",
	} {
		if got := packageOf(function); got != want {
			t.Errorf("%q is of %q, not %q", function, got, want)
		}
	}
	for _, c := range []struct {
		function string
		letters  int
		want     string
	}{
		{"tenma/relay/ingress/front.(*Conn).flush", 19, "front.(*Conn).flush"},
		{"tenma/relay/ingress/front.(*Conn).flush", 18, "flush"},
		{"tenma/relay/ingress/front.(*Conn).flush", 4, "flu…"},
		{"tenma/relay/ingress/front.(*Conn).flush", 2, ""},
		{"a/b.(*Spool).commitLoop.func1", 12, "commitLoop"},
		{"a/b.Sort[go.shape.[]c/d.e]", 6, "Sort"},
		{"a/b.", 2, "b."},
		{"", 0, ""},
	} {
		if got := label(c.function, float64(c.letters)*advance+.1); got != c.want {
			t.Errorf("%q in %d letters is %q, not %q", c.function, c.letters, got, c.want)
		}
	}
}

func zipped(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestReadErrors(t *testing.T) {
	heap := made(stack{1, "a.A"})
	heap.SampleType[1].Type = "inuse_space"
	negative := made(stack{1, "a.A"})
	negative.Sample[0].Value[1] = -1
	century := made(stack{1, "a.A"}, stack{1, "b.B"})
	for _, s := range century.Sample {
		s.Value[1] = int64(maxCPU) - 1
	}
	for name, c := range map[string]struct {
		in   []byte
		want string
	}{
		"nothing":        {nil, "no profile"},
		"text":           {[]byte("--- cpu\n1 2 3\n"), "no profile"},
		"half":           {written(t, small())[:200], "unpacking"},
		"gzip of text":   {zipped(t, []byte("hello there")), "no profile"},
		"heap":           {written(t, heap), "not of processor time"},
		"idle":           {written(t, made()), "without samples"},
		"idle samples":   {written(t, made(stack{0, "a.A"})), "without samples"},
		"negative":       {written(t, negative), "less than nothing"},
		"two centuries":  {written(t, century), "a century"},
		"deep":           {written(t, made(stack{1, strings.Repeat("a.A ", maxDepth+1)})), "more than 1024 calls"},
		"deep, in place": {written(t, made(stack{1, "a.A" + strings.Repeat("+a.A", maxDepth)})), "more than 1024 calls"},
		"long":           {make([]byte, maxPacked+1), "longer than 8 MiB"},
		"bomb":           {zipped(t, make([]byte, maxUnpacked+1)), "longer than 16 MiB"},
		"crowd":          {zipped(t, bytes.Repeat([]byte{0x12, 0}, maxFields+1)), "more than 500000"},
	} {
		if _, err := Read(bytes.NewReader(c.in)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, not %q", name, err, c.want)
		}
	}
	if _, err := Read(bytes.NewReader(written(t, made(stack{1, strings.Repeat("a.A ", maxDepth)})))); err != nil {
		t.Errorf("as deep as may be: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	for _, p := range []*profile.Profile{small(), made(stack{1, "a.A"}), made()} {
		var plain bytes.Buffer
		if err := p.WriteUncompressed(&plain); err != nil {
			f.Fatal(err)
		}
		f.Add(plain.Bytes())
	}
	f.Add(written(f, small()))
	f.Add([]byte{0x1f, 0x8b})
	f.Fuzz(func(t *testing.T, in []byte) {
		p, err := Read(bytes.NewReader(in))
		if err != nil {
			return
		}
		costs := p.Costs(5)
		var sum time.Duration
		for _, c := range costs {
			sum += c.CPU
		}
		if sum != p.CPU {
			t.Errorf("costs of %v, not %v", sum, p.CPU)
		}
		wellFormed(t, p.SVG("x", costs))
	})
}
