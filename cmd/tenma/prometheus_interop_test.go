//go:build interop

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tenma/bench/internet"
	"tenma/dnscache/dnstest"
)

const (
	rulesFile     = "../../deploy/prometheus/tenma.rules.yml"
	dashboardFile = "../../deploy/grafana/tenma.json"
)

// TestInteropPrometheus has a real Prometheus scrape a relay under load, with the
// scrape configuration and the rules of deploy: every recorded series yields, every
// query of the dashboard is one, no alert fires while mail flows, and the one for
// it does when the receivers are gone. It scrapes every second, so that it need not
// wait for minutes, and knows a hurried copy of that alert.
func TestInteropPrometheus(t *testing.T) {
	t.Parallel()
	w := startWatched(t)
	p := startPrometheus(t, w.metrics)
	start := time.Now()

	records := names(t, rulesFile, "record")
	empty := records
	p.until(t, "the recorded series", func() bool {
		empty = slices.DeleteFunc(slices.Clone(records), func(r string) bool { return len(p.query(t, r)) > 0 })
		return len(empty) == 0
	}, func() string { return fmt.Sprintf("nothing of %q", empty) })
	t.Logf("all %d recorded series after %v", len(records), time.Since(start).Round(time.Millisecond))

	p.rules(t)
	for _, a := range p.alerts(t) {
		if a.State == "firing" {
			t.Errorf("while mail flows %s fires: %s", a.Labels["alertname"], a.Annotations["summary"])
		}
	}
	// On a busy machine a scrape may fail, and what is asked has no answer for a
	// moment: nothing that is asked here must have one at once.
	rate := ""
	p.until(t, "mail that flows", func() bool {
		rate = fmt.Sprint(p.query(t, `rate(tenma_intake_messages_total[10s])`))
		return len(p.query(t, `rate(tenma_intake_messages_total[10s]) > 5`)) == 1
	}, func() string { return rate })
	dashboardYields(t, p)
	// What the client library names is there too; a test of the metrics sees to ours.
	for _, name := range regexp.MustCompile(`\b(go|process)_[a-z_]+`).FindAllString(read(t, rulesFile)+read(t, dashboardFile), -1) {
		p.until(t, name, func() bool { return len(p.query(t, name)) > 0 }, func() string { return "rules or dashboard ask for it, and it is not there" })
	}

	w.stopReceivers()
	p.until(t, "the alert", func() bool {
		return slices.ContainsFunc(p.alerts(t), func(a alert) bool {
			return a.State == "firing" && a.Labels["alertname"] == "TenmaDeliveryStopped" && a.Annotations["summary"] == "127.0.0.1:"+w.port+" has mail and delivers none"
		})
	}, func() string { return fmt.Sprint(p.alerts(t)) })
	for _, a := range p.alerts(t) {
		if a.State == "firing" && a.Labels["alertname"] != "TenmaDeliveryStopped" {
			t.Errorf("%s fires too", a.Labels["alertname"])
		}
	}
	t.Logf("the alert fired after %v", time.Since(start).Round(time.Millisecond))
}

// dashboardYields asks every query of the dashboard. Those about things that did
// not happen in the test have no data, but none may be refused.
func dashboardYields(t *testing.T, p *prometheusd) {
	t.Helper()
	text := read(t, dashboardFile)
	var all []string
	for _, m := range regexp.MustCompile(`"expr": ("(?:[^"\\]|\\.)*")`).FindAllStringSubmatch(text, -1) {
		var expr string
		if err := json.Unmarshal([]byte(m[1]), &expr); err != nil {
			t.Fatal(err)
		}
		expr = strings.NewReplacer("$job", ".+", "$instance", ".+", "$__rate_interval", "10s", "$__interval", "10s").Replace(expr)
		all = append(all, expr)
	}
	var empty []string
	p.until(t, "the dashboard", func() bool {
		empty = slices.DeleteFunc(slices.Clone(all), func(expr string) bool { return len(p.query(t, expr)) > 0 })
		return len(all) >= 100 && len(empty) < len(all)*2/5
	}, func() string { return fmt.Sprintf("of %d queries %d yield nothing: %q", len(all), len(empty), empty) })
	t.Logf("the dashboard has %d queries, of which %d yield here", len(all), len(all)-len(empty))
}

// watched is a relay under load.
type watched struct {
	metrics       string // address
	port          string
	stopReceivers func()
}

// startWatched runs a relay and sends 100 messages a second through it, some
// to receivers that put off or refuse.
func startWatched(t *testing.T) *watched {
	host := func(n int) []internet.Host {
		return []internet.Host{{Name: fmt.Sprintf("mx%d.test", n), Address: fmt.Sprintf("127.1.9.%d", n)}}
	}
	providers := []internet.Provider{
		{Domains: []string{"one.test"}, Hosts: host(1)},
		{Domains: []string{"shaky.test"}, Hosts: host(2), Manner: internet.Manner{TempFail: 0.3}},
		{Domains: []string{"nobody.test"}, Hosts: host(3), Manner: internet.Manner{Unknown: 1}},
		{Domains: []string{"src.test"}, Hosts: host(4)},
	}
	ctx, cancel := context.WithCancel(t.Context())
	world, stop := context.WithCancel(ctx)
	_, port, _ := net.SplitHostPort(freePort(t, "127.1.9.1"))
	_, wait, err := internet.Receivers(world, providers, port, net.Listen, nil)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	pc, l, err := dnstest.Listen(ctx, "127.1.9.53:0")
	if err != nil {
		t.Fatal(err)
	}
	serveDNS(t, internet.Zone(providers), pc, l)

	w := &watched{metrics: freePort(t, "127.0.0.1"), stopReceivers: func() { stop(); wait() }}
	_, w.port, _ = net.SplitHostPort(w.metrics)
	smtp := freePort(t, "127.0.0.1")
	startRelay(t, binary(t), t.TempDir(), smtp, fmt.Sprintf(
		"[[listen]]\nprotocol = \"http\"\naddress = %q\n[dns]\nservers = [%q]\n[delivery]\nport = %s\nprivate_destinations = true\nretry = [\"1s\"]\n", w.metrics, pc.LocalAddr(), port))
	all.Go(func() { feed(ctx, t, smtp) })
	t.Cleanup(func() { cancel(); stop(); wait(); all.Wait() })
	return w
}

// feed hands in a message every 10 ms until ctx is cancelled.
func feed(ctx context.Context, t *testing.T, smtp string) {
	v, err := converse(smtp)
	if err != nil {
		t.Errorf("no load: %v", err)
		return
	}
	defer v.Close()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		to := "one.test"
		switch {
		case n%10 == 3:
			to = "shaky.test"
		case n%50 == 7:
			to = "nobody.test"
		}
		v.SetDeadline(time.Now().Add(time.Minute))
		if _, err := v.send("a@src.test", "b"+strconv.Itoa(n)+"@"+to, "Subject: watched\r\n\r\n"+strings.Repeat("text\r\n", 100)); err != nil {
			if ctx.Err() == nil {
				t.Errorf("message %d: %v", n, err)
			}
			return
		}
	}
}

// prometheusd is a running Prometheus.
type prometheusd struct{ url string }

type alert struct {
	State       string            `json:"state"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// startPrometheus runs Debian's Prometheus with the files of deploy, but every
// second and at target.
func startPrometheus(t *testing.T, target string) *prometheusd {
	t.Helper()
	dir := t.TempDir()
	put := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	conf := read(t, "../../deploy/prometheus/prometheus.yml")
	for _, c := range [][2]string{{"127.0.0.1:2580", target}, {"interval: 15s", "interval: 1s"}, {"- tenma.rules.yml", "- \"*.rules.yml\""}} {
		if !strings.Contains(conf, c[0]) {
			t.Fatalf("the example configuration has no %s", c[0])
		}
		conf = strings.ReplaceAll(conf, c[0], c[1])
	}
	put("prometheus.yml", conf)
	rules := read(t, rulesFile)
	put("tenma.rules.yml", strings.ReplaceAll(rules, "interval: 15s", "interval: 1s"))
	_, stopped, _ := strings.Cut(rules, "- alert: TenmaDeliveryStopped")
	stopped, _, _ = strings.Cut(stopped, "- alert: ")
	stopped = strings.NewReplacer("[30m]", "[6s]", "[10m]", "[6s]", "for: 10m", "for: 1s").Replace(stopped)
	put("hurried.rules.yml", "groups:\n  - name: hurried\n    rules:\n      - alert: TenmaDeliveryStopped"+strings.TrimRight(stopped, " \n#")+"\n")
	if out, err := exec.Command("promtool", "check", "config", filepath.Join(dir, "prometheus.yml")).CombinedOutput(); err != nil {
		t.Fatalf("promtool: %v\n%s", err, out)
	}

	addr := freePort(t, "127.0.0.1")
	cmd := exec.Command("prometheus", "--config.file", filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path", filepath.Join(dir, "data"),
		"--web.listen-address", addr, "--log.level", "warn")
	out := newTranscript("\x00")
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); cmd.Wait() })
	p := &prometheusd{url: "http://" + addr}
	p.until(t, "Prometheus", func() bool {
		r, err := http.Get(p.url + "/-/ready")
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusOK
	}, out.String)
	return p
}

// until asks every 100 ms, and fails the test when patience ends.
func (p *prometheusd) until(t *testing.T, what string, cond func() bool, why func() string) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); <-time.After(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s: %s", what, why())
		}
	}
}

// get asks the API and gives the field data of its answer.
func (p *prometheusd) get(t *testing.T, path string, data any) {
	t.Helper()
	r, err := http.Get(p.url + "/api/v1/" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	answer := struct {
		Status string `json:"status"`
		Error  string `json:"error"`
		Data   any    `json:"data"`
	}{Data: data}
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil || answer.Status != "success" {
		t.Fatalf("%s: %s %s, %v", path, answer.Status, answer.Error, err)
	}
}

// query gives the series of an expression.
func (p *prometheusd) query(t *testing.T, expr string) []any {
	t.Helper()
	var data struct {
		Result []any `json:"result"`
	}
	p.get(t, "query?query="+url.QueryEscape(expr), &data)
	return data.Result
}

func (p *prometheusd) alerts(t *testing.T) []alert {
	t.Helper()
	var data struct {
		Alerts []alert `json:"alerts"`
	}
	p.get(t, "alerts", &data)
	return data.Alerts
}

// rules fails the test if one could not be evaluated.
func (p *prometheusd) rules(t *testing.T) {
	t.Helper()
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		} `json:"groups"`
	}
	p.get(t, "rules", &data)
	n := 0
	for _, g := range data.Groups {
		for _, r := range g.Rules {
			if n++; r.Health == "err" || r.LastError != "" {
				t.Errorf("rule %s: %s", r.Name, r.LastError)
			}
		}
	}
	if n < 30 {
		t.Errorf("Prometheus knows only %d rules", n)
	}
}

// names lists what a file of rules calls record or alert.
func names(t *testing.T, path, kind string) (all []string) {
	t.Helper()
	for _, m := range regexp.MustCompile(`(?m)^ +- `+kind+`: (\S+)$`).FindAllStringSubmatch(read(t, path), -1) {
		all = append(all, m[1])
	}
	return all
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
