package metrics

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// spoken is what a text in deploy says about metrics, rules and alerts.
var spoken = struct{ metric, selector, matcher, grouping, record, alert *regexp.Regexp }{
	metric:   regexp.MustCompile(`\btenma_[a-z0-9_]+`),
	selector: regexp.MustCompile(`\b(tenma_[a-z0-9_]+)\{([^}]*)\}`),
	matcher:  regexp.MustCompile(`([a-z_]+)(=~|!~|!=|=)"([^"]*)"`),
	grouping: regexp.MustCompile(`\b(?:by|on|without|ignoring) ?\(([a-z_, ]*)\)`),
	record:   regexp.MustCompile(`\btenma:[a-z0-9_:]+`),
	alert:    regexp.MustCompile(`\bTenma[A-Z][A-Za-z]+`),
}

// inventory is all that may be spoken of.
type inventory struct {
	labels          map[string][]string // by metric
	help            map[string]string
	records, alerts []string
}

// usual are labels that Prometheus adds, and those of the process's own metrics.
var usual = []string{"job", "instance", "le", "alertname", "severity", "version", "goversion"}

func stock(t *testing.T) inventory {
	t.Helper()
	in := inventory{labels: map[string][]string{"tenma_build_info": {"version", "goversion"}}, help: map[string]string{}}
	for _, m := range all(t) {
		names := []string{m.name}
		if m.kind == "histogram" {
			names = append(names, m.name+"_bucket", m.name+"_sum", m.name+"_count")
		}
		for _, n := range names {
			in.labels[n], in.help[n] = strings.Split(m.labels, ", "), m.help
		}
	}
	rules, err := os.ReadFile("../deploy/prometheus/tenma.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^ +- (record|alert): (\S+)$`).FindAllStringSubmatch(string(rules), -1) {
		list := map[string]*[]string{"record": &in.records, "alert": &in.alerts}[m[1]]
		if slices.Contains(*list, m[2]) && m[1] == "alert" {
			t.Errorf("there are two alerts %s", m[2])
		}
		*list = append(*list, m[2])
	}
	return in
}

// faults lists what a text speaks of and does not exist: metrics, their labels,
// values of labels, recorded series, alerts.
func (in inventory) faults(text string) (bad []string) {
	text = strings.ReplaceAll(text, `\"`, `"`) // expressions within JSON
	for _, n := range spoken.metric.FindAllString(text, -1) {
		if _, ok := in.labels[n]; !ok {
			bad = append(bad, n+" is no metric")
		}
	}
	for _, s := range spoken.selector.FindAllStringSubmatch(text, -1) {
		for _, m := range spoken.matcher.FindAllStringSubmatch(s[2], -1) {
			label, values := m[1], m[3]
			switch {
			case slices.Contains(usual, label):
			case !slices.Contains(in.labels[s[1]], label):
				bad = append(bad, s[1]+" has no label "+label)
			case label == "listener": // takes any value
			default:
				for v := range strings.SplitSeq(values, "|") {
					if !strings.Contains(in.help[s[1]], v) {
						bad = append(bad, "the help of "+s[1]+" does not know "+label+"="+v)
					}
				}
			}
		}
	}
	known := slices.Clone(usual)
	for _, labels := range in.labels {
		known = append(known, labels...)
	}
	for _, g := range spoken.grouping.FindAllStringSubmatch(text, -1) {
		for l := range strings.SplitSeq(g[1], ",") {
			if l = strings.TrimSpace(l); !slices.Contains(known, l) {
				bad = append(bad, "no metric has the label "+l)
			}
		}
	}
	for _, n := range spoken.record.FindAllString(text, -1) {
		if !slices.Contains(in.records, n) {
			bad = append(bad, n+" is not recorded")
		}
	}
	for _, n := range spoken.alert.FindAllString(text, -1) {
		if !slices.Contains(in.alerts, n) {
			bad = append(bad, n+" is no alert")
		}
	}
	return bad
}

// Whatever in deploy speaks of a metric (pages, dashboards, alert rules) speaks
// of one that is there, with the labels and values that it has.
func TestDeployNames(t *testing.T) {
	in := stock(t)
	if len(in.alerts) < 15 || len(in.records) < 10 {
		t.Fatalf("found only %d alerts and %d recorded series", len(in.alerts), len(in.records))
	}
	seen := 0
	err := filepath.WalkDir("../deploy", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		switch filepath.Ext(path) {
		case ".md", ".json", ".yml", ".go", ".toml", ".service":
		default:
			return nil
		}
		text, err := os.ReadFile(path)
		seen += len(spoken.metric.FindAll(text, -1))
		for _, f := range in.faults(string(text)) {
			t.Errorf("%s: %s", path, f)
		}
		return err
	})
	if err != nil || seen < 100 {
		t.Fatal(seen, err)
	}
}

// The check finds what it is for.
func TestFaults(t *testing.T) {
	in := stock(t)
	for text, bad := range map[string]bool{
		`sum by (job, fate) (rate(tenma_queue_recipients_total{fate="sent"}[5m]))`:                false,
		`{"expr": "rate(tenma_queue_recipients_total{job=~\"$job\",fate=~\"sent|failed\"}[1m])"}`: false,
		`tenma_intake_commit_seconds_bucket and tenma:accepted:rate5m`:                            false,
		`tenma_queue_recipient_total`:                     true,
		`tenma_queue_recipients_total{fat="sent"}`:        true,
		`tenma_queue_recipients_total{fate=~"sent|gone"}`: true,
		`tenma_queue_ready_bucket`:                        true,
		`sum by (fates) (x)`:                              true,
		`tenma:nothing:rate5m`:                            true,
		`see TenmaNothing`:                                true,
	} {
		if got := in.faults(text); (len(got) > 0) != bad {
			t.Errorf("%s: %q", text, got)
		}
	}
}

// Every alert has its paragraph in the guide, says what is the matter and what to
// do, and has a test of its own.
func TestAlerts(t *testing.T) {
	in := stock(t)
	read := func(path string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	guide, tests := read("../deploy/guide/watching.md"), read("../deploy/prometheus/tenma.rules.test.yml")
	rules := strings.Split(read("../deploy/prometheus/tenma.rules.yml"), "- alert: ")[1:]
	for i, name := range in.alerts {
		if !strings.Contains(guide, "\n### "+name+"\n") {
			t.Errorf("the guide has no paragraph on %s", name)
		}
		if !regexp.MustCompile(`alertname: ` + name + `\s+exp_alerts:\s+- exp_labels`).MatchString(tests) {
			t.Errorf("no test shows that %s fires", name)
		}
		for _, want := range []string{"severity: ", "summary: ", "todo: "} {
			if !strings.Contains(rules[i], want) {
				t.Errorf("%s has no %s", name, want)
			}
		}
	}
}
