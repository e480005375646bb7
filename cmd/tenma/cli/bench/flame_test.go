package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/pprof/profile"

	"tenma/bench/load"
	"tenma/bench/report/flame"
	"tenma/cmd/tenma/cli"
)

// profiled runs "tenma bench flame".
func profiled(t *testing.T, x flameCommand, in []byte) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := x.Run(&cli.Console{In: bytes.NewReader(in), Out: &out, Err: &out})
	return out.String(), err
}

func TestFlame(t *testing.T) {
	f := &profile.Function{ID: 1, Name: "tenma/relay/queue.(*Queue).Run"}
	l := &profile.Location{ID: 1, Line: []profile.Line{{Function: f}}}
	var raw bytes.Buffer
	p := &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}},
		Function:   []*profile.Function{f}, Location: []*profile.Location{l},
		Sample: []*profile.Sample{{Location: []*profile.Location{l}, Value: []int64{3, 30e6}}},
	}
	if err := p.Write(&raw); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file, drawing := filepath.Join(dir, "cpu.pb.gz"), filepath.Join(dir, "flame.svg")
	if err := os.WriteFile(file, raw.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := profiled(t, flameCommand{Profile: file, Output: drawing, Top: 5}, nil)
	if err != nil || !strings.Contains(got, "100.0 %") || !strings.Contains(got, "tenma/relay/queue") || !strings.Contains(got, drawing) {
		t.Errorf("%q, %v", got, err)
	}
	svg, err := os.ReadFile(drawing)
	if err != nil || !strings.Contains(string(svg), "<title>cpu.pb.gz</title>") {
		t.Errorf("%.100s, %v", svg, err)
	}
	got, err = profiled(t, flameCommand{Profile: "-", Top: 5, JSON: true}, raw.Bytes())
	var c struct {
		Samples int64
		Costs   []struct{ Name, Kind string }
	}
	if err := errors.Join(err, json.Unmarshal([]byte(got), &c)); err != nil || c.Samples != 3 || len(c.Costs) != 1 || c.Costs[0].Name != "tenma/relay/queue" || c.Costs[0].Kind != flame.Tenma.String() {
		t.Errorf("--json: %v, %s", err, got)
	}
	for _, bad := range []flameCommand{{Profile: file}, {Profile: file, Top: 101}, {Profile: filepath.Join(dir, "none"), Top: 1}, {Profile: "-", Top: 1}} {
		if _, err := profiled(t, bad, []byte("rubbish")); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

func TestSound(t *testing.T) {
	good := load.Result{MTA: "a", Round: 1, Extra: map[string]float64{"signatures_bad": 0}}
	bad := load.Result{MTA: "b", Round: 2, Extra: map[string]float64{"signatures_bad": 4}}
	lossy := load.Result{MTA: "c", Round: 3, Lost: 5}
	if err := sound([]load.Result{good}); err != nil {
		t.Error(err)
	}
	err := sound([]load.Result{good, bad, lossy})
	if err == nil || err.Error() != "b, round 2: 4 messages without a DKIM signature that holds\nc, round 3: 5 messages were accepted and had not arrived when waiting ended" {
		t.Error(err)
	}
}
