package metrics

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const page = "../deploy/reference/metrics.md"

var update = flag.Bool("update", false, "write the table of "+page)

// record is a Registerer that keeps the collectors.
type record []prometheus.Collector

func (r *record) Register(c prometheus.Collector) error { *r = append(*r, c); return nil }

func (r *record) MustRegister(all ...prometheus.Collector) { *r = append(*r, all...) }

func (r *record) Unregister(prometheus.Collector) bool { return false }

// metric is what the reference tells of one.
type metric struct{ name, kind, labels, help string }

// description is how prometheus.Desc prints itself; it has no getters.
var description = regexp.MustCompile(`^Desc\{fqName: ("[^"]*"), help: ("(?:[^"\\]|\\.)*"), unit: "[^"]*", constLabels: \{[^}]*\}, variableLabels: \{([^}]*)\}\}$`)

// exposed is the kind that Prometheus hears.
func exposed(t *testing.T, c prometheus.Collector) string {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	families, err := r.Gather()
	if err != nil || len(families) != 1 {
		t.Fatalf("%d families, %v", len(families), err)
	}
	return strings.ToLower(families[0].GetType().String())
}

func all(t *testing.T) []metric {
	t.Helper()
	var r record
	New(&r)
	value := func() float64 { return 0 }
	Show(&r, time.Now, Views{Oldest: time.Now, SpoolDisk: value, SpoolWritten: value, SpoolTables: value, SpoolCache: value, Rebuilding: value, Reserve: value, NotAfter: time.Now})
	if len(r) == 0 {
		t.Fatal("New registers nothing")
	}
	var out []metric
	for _, c := range r {
		ch := make(chan *prometheus.Desc, 1)
		c.Describe(ch)
		text := (<-ch).String()
		m := description.FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("cannot read %s", text)
		}
		var one metric
		if _, err := fmt.Sscanf(m[1]+" "+m[2], "%q %q", &one.name, &one.help); err != nil {
			t.Fatal(err)
		}
		one.labels = strings.ReplaceAll(m[3], ",", ", ")
		switch c.(type) {
		case *prometheus.CounterVec:
			one.kind = "counter"
		case *prometheus.GaugeVec:
			one.kind = "gauge"
		case *prometheus.HistogramVec, prometheus.Histogram:
			one.kind = "histogram"
		case prometheus.Gauge: // before Counter, whose methods it has too
			one.kind = "gauge"
		case prometheus.Counter:
			one.kind = "counter"
		case prometheus.GaugeFunc: // last, since all the others have its methods, CounterFunc too
			one.kind = exposed(t, c)
		}
		out = append(out, one)
	}
	slices.SortFunc(out, func(a, b metric) int { return strings.Compare(a.name, b.name) })
	return out
}

// Names follow Prometheus's rules, every collector says what it counts, and no
// label can grow with the mail.
func TestNames(t *testing.T) {
	labels := []string{"action", "class", "command", "direction", "fate", "filter", "from", "kind", "listener", "mechanism", "method", "network", "phase", "policy", "protocol", "reason", "result", "severity", "status", "tenant", "type"}
	units := regexp.MustCompile(`_(ms|millis\w*|micro\w*|minutes|hours|days|kb|kib|mb|mib|percent)(_|$)`) // not base units
	for _, m := range all(t) {
		switch {
		case m.kind == "":
			t.Errorf("%s is of no known kind", m.name)
		case !regexp.MustCompile(`^tenma_[a-z][a-z0-9]+(_[a-z]+)+$`).MatchString(m.name):
			t.Errorf("%s: want tenma_STAGE_WHAT", m.name)
		case strings.HasSuffix(m.name, "_total") != (m.kind == "counter"):
			t.Errorf("%s is a %s; _total is the mark of counters", m.name, m.kind)
		case units.MatchString(m.name):
			t.Errorf("%s is not in base units", m.name)
		case len(m.help) < 10 || !strings.HasSuffix(m.help, ".") || strings.Contains(m.help, "|"):
			t.Errorf("%s: help %q is no sentence", m.name, m.help)
		}
		for l := range strings.SplitSeq(m.labels, ", ") {
			if l != "" && !slices.Contains(labels, l) {
				t.Errorf("%s: label %s is not among those with few values; add it here if it has", m.name, l)
			}
		}
	}
}

// The reference page has every collector as the code has it, and no others.
// Run with -update to write it anew.
func TestReference(t *testing.T) {
	var want strings.Builder
	for _, m := range all(t) {
		fmt.Fprintf(&want, "| `%s` | %s | %s | %s |\n", m.name, m.kind, m.labels, m.help)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	const start, end = "|---|---|---|---|\n", "\n## "
	head, rest, ok := strings.Cut(string(text), start)
	got, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no table", page)
	}
	if got == want.String() {
		return
	}
	if *update {
		if err := os.WriteFile(page, []byte(head+start+want.String()+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for line := range strings.Lines(want.String()) {
		if !strings.Contains(got, line) {
			t.Errorf("the reference has no %s", line)
		}
	}
	t.Errorf("%s is not what the code has; go test ./metrics -update writes it", page)
}
