package relay

import (
	"bytes"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tenma/relay/config"
)

// A listener on all addresses, however that is written, makes each address of
// the machine one by which an MX can lead back to us. What the operator names
// counts besides.
func TestOwnAddresses(t *testing.T) {
	for address, all := range map[string]bool{":25": true, "0.0.0.0:25": true, "[::]:25": true, "127.0.0.1:25": false, ":2525": false} {
		path := filepath.Join(t.TempDir(), "relay.toml")
		text := "hostname = \"relay.test\"\n[delivery]\nown = [\"192.0.2.7\", \"::ffff:192.0.2.8\", \"Front.Test\"]\n[[listen]]\nprotocol = \"smtp\"\naddress = \"" + address + "\"\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, _, err := config.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		c := complete(cfg)
		has := func(a string) bool { return slices.Contains(c.Route.Own, netip.MustParseAddr(a)) }
		if loop := has("127.0.0.1"); loop != (all || address == "127.0.0.1:25") || !has("192.0.2.7") || !has("192.0.2.8") {
			t.Errorf("%s: ours are %v", address, c.Route.Own)
		}
		if !slices.Equal(c.Delivery.Own, c.Route.Own) || !slices.Equal(c.Route.OwnNames, []string{"front.test"}) {
			t.Errorf("%s: delivery has %v, names are %v", address, c.Delivery.Own, c.Route.OwnNames)
		}
	}
}

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
