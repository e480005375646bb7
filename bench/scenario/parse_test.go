package scenario

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"tenma/bench/sink"
	"tenma/bench/source"
)

// Every scenario that is built in can be read, tells what it shows, and its
// words are ones that source and sink understand.
func TestFiles(t *testing.T) {
	names := Names()
	if len(names) < 15 {
		t.Fatalf("%d scenarios: %v", len(names), names)
	}
	for _, name := range names {
		s, err := Find(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(s.About) < 40 || !strings.ContainsAny(s.About[len(s.About)-1:], ".?") {
			t.Errorf("%s says of itself: %q", name, s.About)
		}
		p := Place{Sink: "127.0.0.1:2525", Control: "127.0.0.1:2599"}
		c, err := source.Parse(p.sourceWords(s, "127.0.0.1:25", "r", s.Idle))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if c.Sessions == 0 || c.Count == 0 || c.Wait != s.Idle || (c.TLS != source.TLSNone) != s.TLSIn {
			t.Errorf("%s: the source is %+v", name, c)
		}
		for _, words := range [][]string{s.Sink, s.Refuse} {
			if slices.Equal(words, []string{Down}) {
				continue
			}
			k, err := sink.Parse(p.sinkWords(s, words))
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if (k.Manner.TLS != nil) != s.TLSOut {
				t.Errorf("%s: the sink's manner is %+v", name, k.Manner)
			}
		}
	}
}

func TestParse(t *testing.T) {
	s, err := Parse("x", "x.scenario", `
# Two lines
# about it.

kind kill
route mx hosts=7 own
dkim ed25519
tls both
connections 5
retry 90s
source sessions=2 count=10
source count=20 size=1KiB
sink rtt=50ms
refuse say:rcpt=451_no
kill after=2s
wait idle=3s most=4m
config tenma spool.memory = "64MiB"
config tenma [x]
# not about it
`, "source count=30", "config postfix a = b")
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"sessions=2", "count=30", "size=1KiB"}; !slices.Equal(s.Source[:3], want) {
		t.Errorf("source %q", s.Source)
	}
	if s.About != "Two lines about it." || s.Kind != Kill || s.Route != MX || s.Hosts != 7 || !s.Own || s.DKIM != "ed25519" || !s.TLSIn || !s.TLSOut {
		t.Errorf("%+v", s)
	}
	if s.Connections != 5 || s.Retry != 90*time.Second || s.KillAfter != 2*time.Second || s.Idle != 3*time.Second || s.Most != 4*time.Minute {
		t.Errorf("%+v", s)
	}
	if got := s.Config["tenma"]; !slices.Equal(got, []string{`spool.memory = "64MiB"`, "[x]"}) || len(s.Config["postfix"]) != 1 {
		t.Errorf("config %q", s.Config)
	}
}

// What is wrong is told with the file and the line.
func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ text, extra, want string }{
		{"kind", "", `f:1: "kind" needs a value`},
		{"\n\nkind slow", "", `f:3: kind "slow" is none of plain, backlog, kill, restart, queued, syncs`},
		{"kind plain fast", "", `f:1: kind takes one value`},
		{"speed 3", "", `f:1: unknown word "speed"; there are config, connections, cpus, dkim, kill, kind, refuse, retry, route, sink, source, tls, verify, wait`},
		{"route north", "", `f:1: route "north" is neither smarthost nor mx`},
		{"route smarthost hosts=3", "", `f:1: route smarthost: unknown word "hosts=3"`},
		{"route mx hosts=251", "", `f:1: hosts "251": not a number from 1 to 250`},
		{"verify 5", "source count=1", "f:1: verify needs dkim: nobody signs"},
		{"dkim rsa\nverify 0", "", `f:2: verify "0": not a number from 1 to 100000`},
		{"# x\ndkim md5", "", `f:2: dkim "md5" is none of none, rsa, ed25519`},
		{"tls yes", "", `f:1: tls "yes" is none of none, in, out, both`},
		{"connections many", "", `f:1: connections "many": not a number from 1 to 10000`},
		{"retry 10ms", "", `f:1: retry "10ms": less than a second`},
		{"retry soon", "", `f:1: retry "soon": not a duration such as 30s, up to 24h`},
		{"wait idle=-1s", "", `f:1: wait "idle=-1s": not a duration such as 30s, up to 24h`},
		{"wait forever=1s", "", `f:1: wait: unknown word "forever=1s"`},
		{"kill idle=1s", "", `f:1: kill: unknown word "idle=1s"`},
		{"config tenma", "", `f:1: config needs a server and a line for it`},
		{"source count=1\nsink listen=1:2", "", `f:2: sink: "listen=1:2" is for the runner to say`},
		{"source count=1 run=x", "", `f:1: source: "run=x" is for the runner to say`},
		{"source sessions=1\n", "", `f:1: the source needs "count" or "duration", or it would never end`},
		{"source count=1\x1b[2J", "", `f:1: a character that is not printable`},
		{"source count=1", "speed 3", `command line:1: unknown word "speed"`},
		{strings.Repeat("\n", 1001), "", `f:1001: more than 1000 lines`},
		{strings.Repeat("#", 64<<10+1), "", `f:1: 65537 octets are too many for a scenario, 65536 are the most`},
	} {
		var extra []string
		if c.extra != "" {
			extra = []string{c.extra}
		}
		_, err := Parse("f", "f", c.text, extra...)
		var at *LineError
		if !errors.As(err, &at) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%.40q: %v, want %s", c.text, err, c.want)
		}
	}
	if _, err := Find("nothing"); err == nil || !strings.Contains(err.Error(), "relay-64k") {
		t.Errorf("a scenario that does not exist: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range Names() {
		text, err := files.ReadFile("files/" + name + ".scenario")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add("kind kill\nroute mx hosts=3 own\nsource count=1 count=2\nconfig a b c\nrefuse down\nwait idle=1s most=2s\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse("f", "f", text)
		var at *LineError
		if err != nil {
			if !errors.As(err, &at) || at.Line < 1 || strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("%q: error %q", text, err)
			}
			return
		}
		if s.Idle <= 0 || s.Most <= 0 || s.Retry < time.Second || s.Hosts < 1 || s.Hosts > maxHosts || s.Kind == "" {
			t.Errorf("%q: %+v", text, s)
		}
		if strings.ContainsAny(s.About, "\n\x1b") {
			t.Errorf("about %q", s.About)
		}
	})
}
