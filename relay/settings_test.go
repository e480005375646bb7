package relay

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"tenma/relay/config"
)

// What a reload cannot change is told once, by the name that the operator
// wrote: the host name stands in the mail log too.
func TestWarnUnchanged(t *testing.T) {
	was, err := config.Default()
	if err != nil {
		t.Fatal(err)
	}
	now := *was
	now.Hostname, now.MailLog.NodeID = "other.test", "other.test"
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	warnUnchanged(log, was, &now)
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "setting=hostname") {
		t.Errorf("another hostname:\n%s", got)
	}
	out.Reset()
	now = *was
	now.MailLog.Dir = "elsewhere"
	warnUnchanged(log, was, &now)
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "setting=[log]") {
		t.Errorf("another log directory:\n%s", got)
	}
	out.Reset()
	warnUnchanged(log, was, was)
	if out.Len() != 0 {
		t.Errorf("nothing changed, but: %s", out.String())
	}
}
