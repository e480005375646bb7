package storm

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// world plays mail to one provider, minute by minute.
type world struct {
	g        *Guard
	now      time.Time
	believed int // failures taken for true
	storms   int
	over     []Over
}

func newWorld() *world { return &world{g: New(Config{}), now: begin} }

// minute plays one minute: of a number of recipients of each sender a share fails,
// spread evenly. A storm that begins takes back what was believed within the
// last window, as the list does; the simulation takes back all, which is the same
// where nothing failed before.
func (w *world) minute(number int, share float64, senders ...string) {
	for i := range number {
		for _, sender := range senders {
			at := w.now.Add(time.Duration(i) * time.Minute / time.Duration(number))
			if int(float64(i+1)*share) == int(float64(i)*share) {
				w.g.Sent("big.test", sender, at)
				continue
			}
			switch w.g.Failed("big.test", sender, at) {
			case Calm:
				w.believed++
			case Begins:
				w.storms++
				w.believed = 0
			}
		}
	}
	w.now = w.now.Add(time.Minute)
	w.over = append(w.over, w.g.Tick(w.now)...)
}

func (w *world) minutes(n, number int, share float64, senders ...string) {
	for range n {
		w.minute(number, share, senders...)
	}
}

// An outage of 20 minutes with 50,000 failures leaves no entry behind, whether it
// hits one sender or many, all of their mail or a third of it.
func TestOutage(t *testing.T) {
	for _, c := range []struct {
		senders int
		share   float64
	}{{1, 1}, {1, .34}, {5, 1}, {50, .9}} {
		w := newWorld()
		var senders []string
		for i := range c.senders {
			senders = append(senders, fmt.Sprint("tenant", i))
		}
		each := int(2500/c.share) / c.senders
		w.minutes(120, each, .01, senders...)
		w.believed = 0
		w.minutes(20, each, c.share, senders...)
		if w.storms != 1 || w.believed != 0 {
			t.Errorf("%+v: %d storms, %d entries", c, w.storms, w.believed)
		}
		w.minutes(30, each, .01, senders...)
		if len(w.over) != 1 || len(w.g.Storms()) != 0 || w.over[0].Failures < 35_000 {
			t.Errorf("%+v: over: %+v, on: %v", c, w.over, w.g.Storms())
		}
		w.believed = 0
		w.minutes(60, each, .04, senders...)
		if w.storms != 1 || w.believed == 0 {
			t.Errorf("%+v: afterwards %d storms, %d entries", c, w.storms, w.believed)
		}
	}
}

// An outage is noticed although a new customer's mail is most of what there is,
// and his failures are held back like the others'.
func TestOutageForNewcomers(t *testing.T) {
	w := newWorld()
	w.minutes(120, 100, .01, "old")
	w.minutes(20, 500, 1, "old", "new")
	if w.storms != 1 {
		t.Fatal("no storm")
	}
	if v := w.g.Failed("big.test", "newest", w.now); v != Storm {
		t.Errorf("verdict %d for a third", v)
	}
	if v := w.g.Failed("other.test", "old", w.now); v != Calm {
		t.Errorf("verdict %d elsewhere", v)
	}
}

// A relay without any history takes an outage for one only when it is whole.
func TestOutageFromTheStart(t *testing.T) {
	w := newWorld()
	w.minutes(20, 2500, 1, "t")
	if w.storms != 1 || w.believed != 0 {
		t.Errorf("%d storms, %d entries", w.storms, w.believed)
	}
}

// The bad list of a new customer, whose mail fails at three tenths from the start,
// is believed, alone on the relay or beside others, in bursts or for days.
func TestBadListIsBelieved(t *testing.T) {
	w := newWorld()
	w.minutes(600, 200, .3, "new")
	if w.storms != 0 || w.believed != 600*60 {
		t.Errorf("alone: %d storms, %d entries", w.storms, w.believed)
	}
	w = newWorld()
	w.minutes(300, 300, .01, "old", "older")
	before := w.believed
	for range 3 {
		w.minute(5000, .3, "new")
		w.minutes(30, 300, .01, "old", "older")
	}
	if w.storms != 0 || w.believed-before < 3*1500 {
		t.Errorf("beside others: %d storms, %d entries", w.storms, w.believed)
	}
}

// A thousand customers with a message or two each, some of which fail, are no
// storm.
func TestManySmallSenders(t *testing.T) {
	w := newWorld()
	for i := range 30_000 {
		sender := fmt.Sprint(i % 1000)
		w.now = w.now.Add(100 * time.Millisecond)
		if i%20 == 0 {
			if v := w.g.Failed("big.test", sender+"x", w.now); v != Calm {
				t.Fatalf("verdict %d", v)
			}
			continue
		}
		w.g.Sent("big.test", sender, w.now)
	}
}

// Whatever the volume and however the failures fall: lists with up to half bad
// addresses, from the start, make no storm; outages that follow good days do, and
// nothing of them is believed.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		share := rapid.Float64Range(0, .5).Draw(t, "bad addresses")
		number := rapid.IntRange(1, 2000).Draw(t, "a minute")
		minutes := rapid.IntRange(1, 200).Draw(t, "minutes")
		// At random within the minute, by a generator that shrinks well.
		seed := rapid.Uint64().Draw(t, "seed")
		w.random(minutes, number, share, "new", &seed)
		if w.storms != 0 {
			t.Fatalf("a storm of %v", share)
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		normal := rapid.Float64Range(0, .04).Draw(t, "normal")
		number := rapid.IntRange(100, 2000).Draw(t, "a minute")
		seed := rapid.Uint64().Draw(t, "seed")
		w.random(100, number, normal, "old", &seed)
		if w.storms != 0 {
			t.Fatal("a storm in good days")
		}
		w.believed = 0
		w.random(20, number, rapid.Float64Range(.5, 1).Draw(t, "fails"), "old", &seed)
		if w.storms != 1 || w.believed != 0 {
			t.Fatalf("%d storms, %d entries", w.storms, w.believed)
		}
	})
}

// random is minutes with failures at random places.
func (w *world) random(minutes, number int, share float64, sender string, seed *uint64) {
	for range minutes {
		for i := range number {
			*seed = *seed*6364136223846793005 + 1442695040888963407
			at := w.now.Add(time.Duration(i) * time.Minute / time.Duration(number))
			if float64(*seed>>11)/(1<<53) >= share {
				w.g.Sent("big.test", sender, at)
				continue
			}
			switch w.g.Failed("big.test", sender, at) {
			case Calm:
				w.believed++
			case Begins:
				w.storms++
				w.believed = 0
			}
		}
		w.now = w.now.Add(time.Minute)
		w.g.Tick(w.now)
	}
}

// Memory is bounded, and is given back.
func TestBounds(t *testing.T) {
	g := New(Config{})
	for i := range 3 * maxStreams {
		g.Sent(fmt.Sprint(i), "s", begin)
		g.Failed("big.test", fmt.Sprint(i), begin)
	}
	if len(g.streams) > maxStreams+maxStreams || len(g.providers) > maxStreams+1 {
		t.Errorf("%d streams, %d providers", len(g.streams), len(g.providers))
	}
	g.Tick(begin.Add(time.Hour))
	g.Tick(begin.Add(30 * 24 * time.Hour))
	if len(g.streams)+len(g.providers) != 0 {
		t.Errorf("%d streams, %d providers are left", len(g.streams), len(g.providers))
	}
}

// A clock that is set back, or far ahead, breaks nothing.
func TestClock(t *testing.T) {
	g := New(Config{})
	for i := range 1000 {
		g.Sent("p", "s", begin)
		g.Failed("p", "s", begin.Add(-time.Duration(i)*time.Hour))
	}
	g.Tick(begin.Add(-time.Hour))
	g.Sent("p", "s", begin.Add(100*365*24*time.Hour))
	if s := g.streams[name{"p", "s"}]; s.normal > 1 {
		t.Errorf("normal is %f after a century", s.normal)
	}
}

// Another window begins anew; another limit does not.
func TestApply(t *testing.T) {
	g := New(Config{})
	g.Sent("p", "s", begin)
	g.Apply(Config{Failures: 3})
	if len(g.streams) != 1 {
		t.Error("forgot")
	}
	for i := range 3 {
		if v, want := g.Failed("p", "new", begin), []Verdict{Calm, Calm, Begins}[i]; v != want {
			t.Errorf("failure %d: %d, want %d", i, v, want)
		}
	}
	g.Apply(Config{Window: time.Minute})
	if len(g.streams) != 0 || g.Window() != time.Minute {
		t.Error("remembers slots of another length")
	}
}

func BenchmarkSent(b *testing.B) {
	g := New(Config{})
	for i := range b.N {
		g.Sent("big.test", "tenant", begin.Add(time.Duration(i)*time.Millisecond))
	}
}

// What a storm says is not learned as normal: the next one is noticed as well.
func TestSecondOutage(t *testing.T) {
	w := newWorld()
	w.minutes(120, 500, .01, "t")
	for i := range 3 {
		w.minutes(60, 500, .34, "t")
		if w.storms != i+1 || w.believed != 0 {
			t.Errorf("outage %d: %d storms, %d entries", i, w.storms, w.believed)
		}
		w.minutes(30, 500, .01, "t")
		w.believed = 0
	}
}
