package rotation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"tenma/dnscache"
	"tenma/metrics"
	"tenma/relay/policy/dkim"
	"tenma/relay/wire/smtp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const home smtp.Domain = "example.test"

// world is a keeper with what surrounds it.
type world struct {
	t        *testing.T
	config   Config
	keeper   *Keeper
	stop     func()
	changed  int
	registry *prometheus.Registry

	mu    sync.Mutex
	log   bytes.Buffer
	zone  map[string][]string // guarded by mu
	deaf  bool                // guarded by mu: no server answers
	saved []byte              // guarded by mu
	full  bool                // guarded by mu: nothing can be saved
}

func newWorld(t *testing.T, algorithms ...string) *world {
	w := &world{t: t, zone: map[string][]string{}, config: Config{Dir: t.TempDir(), Domains: []Domain{{Name: home}}, Hold: 72 * time.Hour}}
	for _, a := range algorithms {
		w.publish(w.make(a, "old"+a))
	}
	return w
}

// make puts a key's file there.
func (w *world) make(algorithm, selector string) string {
	w.t.Helper()
	if _, err := dkim.Generate(algorithm, 1024, Path(w.config.Dir, home, selector)); err != nil {
		w.t.Fatal(err)
	}
	return selector
}

func (w *world) publish(selector string) {
	w.t.Helper()
	i := dkim.Inspect([]dkim.Key{{Domain: home, Selector: selector, Path: Path(w.config.Dir, home, selector)}})[0]
	if i.Err != nil {
		w.t.Fatal(i.Err)
	}
	w.set(i.Name, i.Record)
}

func (w *world) set(name string, records ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.zone[name] = records
}

func (w *world) LookupTXT(_ context.Context, name string) (a dnscache.Answer[string], err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch found := w.zone[name]; {
	case w.deaf:
		return a, fmt.Errorf("%w: silence", dnscache.ErrTemporary)
	case found == nil:
		return a, fmt.Errorf("%w: %s", dnscache.ErrNotFound, name)
	default:
		a.Records = found
		return a, nil
	}
}

func (w *world) Load() ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.saved, nil
}

func (w *world) Save(text []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.full {
		return errors.New("no space left")
	}
	w.saved = bytes.Clone(text)
	return nil
}

func (w *world) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(p)
}

// start opens a keeper on what is there and runs it.
func (w *world) start() {
	w.t.Helper()
	var err error
	w.registry = prometheus.NewRegistry()
	w.keeper, err = Open(w.config, Deps{
		Resolver: w, Store: w, Metrics: metrics.New(w.registry).DKIM, Log: slog.New(slog.NewTextHandler(w, nil)),
		Changed: func() error { w.changed++; return nil },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- w.keeper.Run(ctx) }()
	w.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	}
	synctest.Wait()
}

func (w *world) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (w *world) signing() string {
	var names []string
	for _, k := range w.keeper.Keys() {
		names = append(names, k.Selector)
	}
	return strings.Join(names, " ")
}

func (w *world) phases() string {
	keys, err := Read(w.config, w.saved, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	var all []string
	for _, k := range keys {
		all = append(all, k.Selector+" "+string(k.Phase))
	}
	return strings.Join(all, ", ")
}

func (w *world) expect(signing, phases string) {
	w.t.Helper()
	if s := w.signing(); s != signing {
		w.t.Errorf("%q sign, want %q", s, signing)
	}
	if p := w.phases(); p != phases {
		w.t.Errorf("phases %q, want %q", p, phases)
	}
}

// count reads a metric; phase is "" for one without labels.
func (w *world) count(name, phase string) float64 {
	w.t.Helper()
	families, err := w.registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (phase == "" || m.GetLabel()[0].GetValue() == phase) {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	w.t.Fatalf("no metric %s", name)
	return 0
}

// The whole life of a key and its successor, with restarts between: the record is
// published late, is seen for three hours, the key signs; the old record stays for
// 72 h and seven days more.
func TestLife(t *testing.T) {
	w := newWorld(t, dkim.RSA)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		w.start()
		w.expect("oldrsa", "oldrsa active")
		if keys, err := Decode(w.saved); err != nil || len(keys) != 1 {
			t.Errorf("saved at the start: %s", w.saved)
		}
		w.make(dkim.RSA, "new")
		w.after(time.Hour)
		w.expect("oldrsa", "new next, oldrsa active")
		if n := w.count("tenma_dkim_records_missing", "next"); n != 1 || !strings.Contains(w.log.String(), "waits for its record") {
			t.Errorf("%v records are missing; log:\n%s", n, w.log.String())
		}
		w.publish("new")
		w.after(Settle)
		w.expect("oldrsa", "new next, oldrsa active")
		w.stop()
		w.start()
		w.expect("oldrsa", "new next, oldrsa active")
		w.after(2*time.Minute + lookNext)
		w.expect("new", "new active, oldrsa retiring")
		if w.changed != 1 || w.count("tenma_dkim_switches_total", "") != 1 {
			t.Errorf("the signer was told %d times", w.changed)
		}
		w.after(9 * 24 * time.Hour)
		w.stop()
		w.start()
		w.expect("new", "new active, oldrsa retiring")
		w.after(24*time.Hour - 10*time.Minute)
		w.expect("new", "new active, oldrsa retiring")
		w.after(11 * time.Minute)
		w.expect("new", "new active, oldrsa retired")
		w.set(dkim.Name("oldrsa", home), "v=DKIM1; p=")
		if err := os.Remove(Path(w.config.Dir, home, "oldrsa")); err != nil {
			t.Fatal(err)
		}
		w.after(2 * time.Minute)
		w.expect("new", "new active")
		w.stop()
	})
}

// A record that comes and goes is waited for anew; silence of the DNS neither
// counts for it nor against it.
func TestSettles(t *testing.T) {
	w := newWorld(t, dkim.Ed25519)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		w.start()
		w.make(dkim.Ed25519, "new")
		w.publish("new")
		w.after(2 * time.Hour)
		w.set(dkim.Name("new", home), "v=DKIM1; k=ed25519; p=AAAA")
		w.after(10 * time.Minute)
		w.publish("new")
		w.after(2 * time.Hour)
		w.expect("olded25519", "new next, olded25519 active")
		w.mu.Lock()
		w.deaf = true
		w.mu.Unlock()
		w.after(4 * time.Hour)
		w.expect("olded25519", "new next, olded25519 active")
		w.mu.Lock()
		w.deaf = false
		w.mu.Unlock()
		w.after(10 * time.Minute)
		w.expect("new", "new active, olded25519 retiring")
		w.stop()
	})
}

// Where nobody can verify the key that signs, a successor with a record does not
// wait.
func TestDeserted(t *testing.T) {
	w := newWorld(t, dkim.RSA)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		w.set(dkim.Name("oldrsa", home), "v=DKIM1; p=")
		w.start()
		w.make(dkim.RSA, "new")
		w.after(10 * time.Minute)
		w.expect("oldrsa", "new next, oldrsa active")
		w.publish("new")
		w.after(10 * time.Minute)
		w.expect("new", "new active, oldrsa retiring")
		if !strings.Contains(w.log.String(), "receivers cannot verify our signatures") {
			t.Error(w.log.String())
		}
		w.stop()
	})
}

// What the first start takes for granted is remembered, whether the DNS answers or
// not.
func TestRemembersAtOnce(t *testing.T) {
	w := newWorld(t, dkim.RSA)
	w.deaf = true
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		w.start()
		w.stop()
	})
	if keys, err := Decode(w.saved); err != nil || len(keys) != 1 || keys[0].Phase != Active {
		t.Errorf("saved %q", w.saved)
	}
}

// A key that cannot be used does not begin to sign, however long it was published.
func TestUnusable(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	next := Key{Domain: home, Selector: "n", Algorithm: dkim.RSA, Phase: Next, Since: now, Sight: Published, Seen: now.Add(-2 * Settle)}
	for _, usable := range []bool{false, true} {
		is := Step([]Key{next}, func(Key) bool { return usable }, 0, now)
		if (is[0].Phase == Active) != usable {
			t.Errorf("usable %v: %s", usable, is[0].Phase)
		}
	}
}

// A key of another algorithm joins; it takes nobody's place.
func TestSecondAlgorithm(t *testing.T) {
	w := newWorld(t, dkim.RSA)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		w.start()
		w.publish(w.make(dkim.Ed25519, "ed"))
		w.after(Settle + time.Hour)
		w.expect("ed oldrsa", "ed active, oldrsa active")
		w.stop()
	})
}

// What cannot be saved does not happen; it does later.
func TestUnsaved(t *testing.T) {
	w := newWorld(t, dkim.RSA)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		w.start()
		w.publish(w.make(dkim.RSA, "new"))
		w.after(time.Hour)
		w.mu.Lock()
		w.full = true
		w.mu.Unlock()
		w.after(Settle)
		w.expect("oldrsa", "new next, oldrsa active")
		if w.changed != 0 {
			t.Error("the signer was told of what a restart would have forgotten")
		}
		w.mu.Lock()
		w.full = false
		w.mu.Unlock()
		w.after(10 * time.Minute)
		w.expect("new", "new active, oldrsa retiring")
		w.stop()
	})
}

// The relay makes the next key by itself where it is told to, one and no more.
func TestByItself(t *testing.T) {
	w := newWorld(t, dkim.RSA, dkim.Ed25519)
	w.config.Domains[0].Every = 15 * 24 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		w.start()
		w.after(14 * 24 * time.Hour)
		w.expect("olded25519 oldrsa", "olded25519 active, oldrsa active")
		w.after(2 * 24 * time.Hour)
		w.expect("olded25519 oldrsa", "e20000116 next, s20000116 next, olded25519 active, oldrsa active")
		w.publish("s20000116")
		w.after(24 * time.Hour)
		w.expect("olded25519 s20000116", "e20000116 next, olded25519 active, s20000116 active, oldrsa retiring")
		w.stop()
	})
	if i := dkim.Inspect([]dkim.Key{{Domain: home, Selector: "s20000116", Path: Path(w.config.Dir, home, "s20000116")}})[0]; i.Bits != dkim.DefaultBits {
		t.Errorf("%d bits follow 1024", i.Bits)
	}
}

// A key whose file is damaged never begins to sign; one that signs is not
// replaced by nothing when its file goes, so that its mail waits.
func TestFiles(t *testing.T) {
	w := newWorld(t, dkim.RSA)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		w.start()
		w.publish(w.make(dkim.RSA, "new"))
		w.after(10 * time.Minute)
		if err := os.WriteFile(Path(w.config.Dir, home, "new"), []byte("no key"), 0o600); err != nil {
			t.Fatal(err)
		}
		w.after(Settle * 2)
		w.expect("oldrsa", "new next, oldrsa active")
		for _, gone := range []string{"new", "oldrsa"} {
			if err := os.Remove(Path(w.config.Dir, home, gone)); err != nil {
				t.Fatal(err)
			}
		}
		w.after(10 * time.Minute)
		w.expect("oldrsa", "oldrsa active")
		w.stop()
	})
}

// What is found the first time: the oldest key of each algorithm signs.
func TestFirstTime(t *testing.T) {
	w := newWorld(t, dkim.RSA, dkim.Ed25519)
	w.make(dkim.RSA, "newer")
	old := time.Now().Add(-time.Hour)
	for _, s := range []string{"oldrsa", "olded25519"} {
		if err := os.Chtimes(Path(w.config.Dir, home, s), old, old); err != nil {
			t.Fatal(err)
		}
	}
	for _, other := range []string{"sub.example.test.s1.pem", "example.test.s1.key", "example.test..pem", "test.s.pem", "x.pem"} {
		if err := os.WriteFile(w.config.Dir+"/"+other, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if p := w.phases(); p != "newer next, olded25519 active, oldrsa active" {
		t.Error(p)
	}
}

func TestMake(t *testing.T) {
	w := newWorld(t, dkim.Ed25519)
	old := dkim.Inspect([]dkim.Key{{Domain: home, Selector: "x", Path: Path(w.config.Dir, home, "olded25519")}})[0]
	now := time.Date(2026, 1, 2, 23, 0, 0, 0, time.UTC)
	var made []string
	for range 26 {
		i, err := Make(w.config.Dir, old, now)
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, i.Selector)
	}
	if made[0] != "e20260102" || made[1] != "e20260102b" || made[25] != "e20260102z" || len(slices.Compact(slices.Sorted(slices.Values(made)))) != 26 {
		t.Error(made)
	}
	if _, err := Make(w.config.Dir, old, now); !errors.Is(err, os.ErrExist) {
		t.Error("a 27th key of a day:", err)
	}
}

func TestDamagedState(t *testing.T) {
	w := newWorld(t, dkim.RSA)
	w.saved = []byte("[[key]]\ndomain = 'example.test'\n")
	if _, err := Open(w.config, Deps{Resolver: w, Store: w}); err == nil || !strings.Contains(err.Error(), StateFile) {
		t.Errorf("damaged state: %v", err)
	}
}

func TestCompare(t *testing.T) {
	const ours = "v=DKIM1; k=rsa; p=QUJD"
	for found, want := range map[string]Sight{
		"":                               Missing,
		ours:                             Published,
		"v=DKIM1;p=QU JD":                Published, // k=rsa is the default; folding white space
		"p=QUJD; k=rsa; t=s":             Published,
		"v=spf1 -all":                    Missing,
		"v=DKIM1; k=ed25519; p=QUJD":     Different,
		"v=DKIM1; k=rsa; p=QUJE":         Different,
		"v=DKIM1; k=rsa; p=QUJD\"":       Different,
		"v=DKIM1; k=rsa; p=":             Revoked,
		ours + "|v=DKIM1; k=rsa; p=QUJE": Different,
		ours + "|" + ours:                Different,
	} {
		var all []string
		if found != "" {
			all = strings.Split(found, "|")
		}
		if got := Compare(all, ours); got != want {
			t.Errorf("%q: %s, want %s", found, got, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	good, err := Encode([]Key{
		{Domain: home, Selector: "a", Algorithm: dkim.RSA, Phase: Active, Since: now, Sight: Published, Seen: now},
		{Domain: home, Selector: "b", Algorithm: dkim.RSA, Phase: Next, Since: now, Sight: Unknown},
	})
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{string(good), "", "[[key]]\n", "key = 1", strings.Replace(string(good), "'b'", "'a'", 1), strings.Replace(string(good), "next", "later", 1)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := Decode(text)
		if err != nil {
			return
		}
		again, err := Encode(keys)
		if err != nil {
			t.Fatal(err)
		}
		if same, err := Decode(again); err != nil || len(same) != len(keys) {
			t.Fatalf("%v after a round trip: %v, %v", keys, same, err)
		}
	})
}
