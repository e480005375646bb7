package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tenma/relay/config"
)

// Where the default ports are taken the demo uses others, and the file that
// other commands find it by says which.
func TestDemoPortsTaken(t *testing.T) {
	for _, a := range []string{"127.0.0.1:2525", "127.0.0.1:2580"} {
		if l, err := net.Listen("tcp", a); err == nil { // else something else has it: all the better
			defer l.Close()
		}
	}
	dir := t.TempDir()
	cfg, path, err := demoConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	written, _, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if a := cfg.Ingress.Listeners[0].Address; strings.HasSuffix(a, ":2525") || !strings.HasPrefix(a, "127.0.0.1:") || written.Ingress.Listeners[0].Address != a {
		t.Errorf("SMTP at %s, in the file %s; want another port than 2525, the same in both", a, written.Ingress.Listeners[0].Address)
	}
	if a := cfg.Admin.Listeners[0].Address; strings.HasSuffix(a, ":2580") || written.Admin.Listeners[0].Address != a {
		t.Errorf("HTTP at %s, in the file %s; want another port than 2580, the same in both", a, written.Admin.Listeners[0].Address)
	}
	if !strings.HasPrefix(cfg.DataDir, dir) {
		t.Errorf("data in %s, outside of %s", cfg.DataDir, dir)
	}
	if _, err := os.Stat(filepath.Join(dir, "data")); err == nil {
		t.Error("data directory made before the relay runs")
	}
}
