package report

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoad(t *testing.T) {
	const good = `{"scenario":"A","mta":"tenma","round":1,"new_field":{"x":1},"series":[{"s":0,"backlog":-1},{"s":1}]}`
	for _, c := range []struct{ name, text, want string }{
		{"good", good + "\n\n  \n" + good, ""},
		{"empty", "", ""},
		{"no JSON", good + "\n\nscenario A", "line 3: no result: invalid character"},
		{"cut off", good + "\n" + good[:40], "line 2: no result: unexpected end"},
		{"an array", "[]", "line 1: no result: "},
		{"no scenario", `{"mta":"tenma"}`, "line 1: scenario is missing"},
		{"no server", `{"scenario":"A"}`, "line 1: mta is missing"},
		{"long name", `{"scenario":"A","mta":"` + strings.Repeat("x", 65) + `"}`, "line 1: mta is longer than 64"},
		{"terminal control", `{"scenario":"A\u001b[2J","mta":"x"}`, "line 1: scenario is longer than 4096 octets, or not printable"},
		{"negative", `{"scenario":"A","mta":"x","deliver_rate":-1}`, "line 1: deliver_rate: -1 is not possible"},
		{"negative count", `{"scenario":"A","mta":"x","lost":-1}`, "line 1: lost: -1 is not possible"},
		{"huge", `{"scenario":"A","mta":"x","ack":{"p50":1e300}}`, "line 1: ack.p50: 1e+300 is not possible"},
		{"point", `{"scenario":"A","mta":"x","series":[{"s":1},{"s":2,"accepted":-4}]}`, "line 1: series[1].accepted: -4"},
		{"order", `{"scenario":"A","mta":"x","series":[{"s":2},{"s":1}]}`, "line 1: series: point 1 is not later"},
		{"round", `{"scenario":"A","mta":"x","round":-1}`, "line 1: round -1"},
		{"extra", `{"scenario":"A","mta":"x","extra":{"":1}}`, "line 1: extra: "},
		{"extra too large", `{"scenario":"A","mta":"x","extra":{"y":-1e19}}`, "line 1: extra.y: -1e+19"},
		{"machine", `{"scenario":"A","mta":"x","machine":{"cpu":"\u0000"}}`, "line 1: machine.cpu is longer"},
		{"long line", good + "\n" + strings.Repeat(" ", maxLine+1), "line 2: longer than 16 MiB"},
		{"too many", strings.Repeat(`{"scenario":"A","mta":"x"}`+"\n", maxResults+1), "line 10001: more than 10000 results"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load(strings.NewReader(c.text))
			var line *LineError
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (!errors.As(err, &line) || !strings.HasPrefix(err.Error(), c.want)):
				t.Errorf("%v, not %q", err, c.want)
			}
		})
	}
}

func TestLoadFilesNamesTheLine(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.jsonl")
	if err := os.WriteFile(name, []byte("{\"scenario\":\"A\",\"mta\":\"x\"}\nbroken\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadFiles(name); err == nil || !strings.HasPrefix(err.Error(), name+":2: no result") {
		t.Errorf("%v", err)
	}
}

// FuzzLoad: whatever is accepted can be shown in every form.
func FuzzLoad(f *testing.F) {
	f.Add(`{"scenario":"A","mta":"x","deliver_rate":5,"ack":{"p50":1,"max":1e18},"lost":1,"extra":{"y":-3}}` + "\n" +
		`{"scenario":"A","mta":"y","deliver_rate":1e-300,"size":"9KiB","disk_bytes_per_message":1}`)
	f.Add(`{"scenario":"<b>|*","mta":"](x)","round":2,"first_error":"a\nb","hard_errors":1,"series":[{"s":0,"cpu":1e18},{"s":1e18,"backlog":-5}]}`)
	f.Add("{}\n[")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Count(text, "\n") > 8 {
			return
		}
		results, err := Load(strings.NewReader(text))
		if err != nil {
			return
		}
		r := New(results, Options{})
		page, err := r.HTML()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(page, "NaN") && !strings.Contains(text, "NaN") {
			t.Error("NaN in the page")
		}
		for _, svg := range svgElement.FindAllString(page, -1) {
			texts(t, svg)
		}
		_ = r.Table() + r.Markdown()
		r.Summary()
	})
}

func TestTargets(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"relay delivered 8x 14x", ""},
		{"# nothing\n\nserver a\nagainst b\nrelay cpu 0.15 0.10 : words: more words", ""},
		{"relay delivered 8x", "line 1: a target is"},
		{"relay delivered 8x 14x of", "line 1: a target is"},
		{"relay speed 8x 14x", `line 1: no column is called "speed"`},
		{"relay delivered 8y 14x", `line 1: "8y" is no value`},
		{"relay delivered 1/0x 14x", `line 1: "1/0x" is no value`},
		{"relay delivered 8x 14", "line 1: 8x and 14 do not count the same"},
		{"\nrelay delivered 14x 8x", "line 2: 14x to 8x is the wrong way for delivered"},
		{"relay delivered 8x 14x with x", `line 1: "with" is neither of nor over`},
		{"relay cpu 1 0.5 of A", "line 1: of A wants ratios"},
		{strings.Repeat("x", 2000), "line 1: longer than 1000"},
		{strings.Repeat("relay cpu 1 0.5\n", maxTargets+1), "line 201: "},
	} {
		_, err := ParseTargets(strings.NewReader(c.text))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
			t.Errorf("%.60q: %v, not %q", c.text, err, c.want)
		}
	}
}

func TestVerdicts(t *testing.T) {
	r := New(append(rounds("A", "postfix", 10, 10), rounds("A", "tenma", 100, 100)...), Options{})
	lossy := rounds("A", "tenma", 100, 100)
	lossy[1].Lost = 1
	lost := New(append(rounds("A", "postfix", 10, 10), lossy...), Options{})
	bad := rounds("A", "tenma", 100, 100)
	bad[0].Extra, bad[1].Extra = map[string]float64{badSignatures: 0}, map[string]float64{badSignatures: 2}
	forged := New(append(rounds("A", "postfix", 10, 10), bad...), Options{})
	far := rounds("A", "tenma", 100, 100)
	far[0].Machine.CPU = "another"
	other := New(append(rounds("A", "postfix", 10, 10), far...), Options{})
	for _, c := range []struct {
		r          *Report
		text, want string
	}{
		{r, "A delivered 8x 14x", held},
		{r, "A delivered 8x 10x", reached},
		{r, "A delivered 12x 20x", fellShort},
		{r, "A delivered 100 101", held},
		{r, "A cpu 1 0.5", notMeasured},
		{r, "B delivered 1 2", notMeasured},
		{r, "A delivered 1x 2x over exim", notMeasured},
		{r, "A delivered 1x 2x of B", notMeasured},
		{r, "A delivered 1x 2x of A", held},
		{r, "A lost 0 0", reached},
		{lost, "A delivered 8x 14x", void},
		{lost, "A lost 0 0", fellShort},
		{forged, "A delivered 8x 14x", void},
		{forged, "A extra.signatures_bad 0 0", fellShort},
		{other, "A delivered 8x 14x", void},
	} {
		all, err := ParseTargets(strings.NewReader(c.text))
		if err != nil {
			t.Fatal(err)
		}
		if v := c.r.judge(all[0]); v.word != c.want {
			t.Errorf("%s: %+v, not %s", c.text, v, c.want)
		}
	}
}

func FuzzParseTargets(f *testing.F) {
	f.Add("relay delivered 8x 14x of x over y : words\nserver a\n# x")
	f.Add("relay cpu/extra.x 1/500x 1/3000x")
	f.Add("restart extra.rss_bytes 400MiB 200MiB")
	r := New(append(rounds("relay", "postfix", 10, 10), rounds("relay", "tenma", 100, 100)...), Options{})
	f.Fuzz(func(t *testing.T, text string) {
		all, err := ParseTargets(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, one := range all {
			r.judge(one)
			one.figure()
		}
	})
}
