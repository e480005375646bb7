package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tenma/bench/report"
	"tenma/cmd/tenma/cli"
)

const rawData = "../../../../bench/report/testdata"

// reported runs "tenma bench report".
func reported(t *testing.T, x reportCommand, in string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := x.Run(&cli.Console{In: strings.NewReader(in), Out: &out, Err: &out})
	return out.String(), err
}

func TestReportForms(t *testing.T) {
	relay := filepath.Join(rawData, "relay.jsonl")
	text, err := os.ReadFile(relay)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		x    reportCommand
		in   string
		want string
	}{
		{"table", reportCommand{Results: []string{relay}}, "", "relay: 4 KiB, 50 sessions"},
		{"folder", reportCommand{Results: []string{rawData}}, "", "dkim: 4 KiB"},
		{"input", reportCommand{Results: []string{"-"}}, string(text), "  against postfix"},
		{"against", reportCommand{Results: []string{relay}, Against: "tenma"}, "", "  against tenma"},
		{"markdown", reportCommand{Results: []string{relay}, Markdown: true, Title: "A title"}, "", "# A title\n"},
		{"html", reportCommand{Results: []string{relay}, HTML: true}, "", "<!DOCTYPE html>"},
	} {
		got, err := reported(t, c.x, c.in)
		if err != nil || !strings.Contains(got, c.want) {
			t.Errorf("%s: %v; %.80q lacks %q", c.name, err, got, c.want)
		}
	}
	got, err := reported(t, reportCommand{Results: []string{relay}, JSON: true}, "")
	var s report.Summary
	if err := errors.Join(err, json.Unmarshal([]byte(got), &s)); err != nil || s.Against != "postfix" || len(s.Scenarios[0].Servers) != 3 {
		t.Errorf("--json: %v, %+v", err, s)
	}
}

func TestReportFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	got, err := reported(t, reportCommand{Results: []string{filepath.Join(rawData, "mx-1k.jsonl")}, Output: dir, PNG: true}, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"report.html", "report.md", "charts/mx-1k-delivered.svg", "charts/mx-1k-delivered.png"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("%v; it said %q", err, got)
		}
	}
}

func TestReportMisuse(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken.jsonl")
	if err := os.WriteFile(broken, []byte("\n{}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		x      reportCommand
		misuse bool
		want   string
	}{
		{reportCommand{}, true, "name the raw data"},
		{reportCommand{Results: []string{"-"}, JSON: true, HTML: true}, true, "only one of"},
		{reportCommand{Results: []string{"-"}, PNG: true}, true, "--png wants a folder"},
		{reportCommand{Results: []string{"-"}, JSON: true, Output: "x"}, true, "-o is for pages"},
		{reportCommand{Results: []string{"-"}}, false, "the raw data has no results"},
		{reportCommand{Results: []string{"no-such-file"}}, false, "raw data: "},
		{reportCommand{Results: []string{filepath.Dir(broken) + "/.."}}, false, "has no *.jsonl"},
		{reportCommand{Results: []string{broken}}, false, broken + ":2: scenario is missing"},
	} {
		_, err := reported(t, c.x, "")
		var usage *cli.UsageError
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.As(err, &usage) != c.misuse {
			t.Errorf("%+v: %v, not %q", c.x, err, c.want)
		}
	}
}
