package main

import (
	"bufio"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tenma/relay/config"
)

// once calls do at the first line that is logged.
type once struct{ do func() }

func (o *once) Write(p []byte) (int, error) {
	if o.do != nil {
		o.do()
		o.do = nil
	}
	return len(p), nil
}

// TestStartAfterKill starts a relay while another still holds the data, which
// it lets go of when the start has told that it waits.
func TestStartAfterKill(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tenma.toml")
	if err := os.WriteFile(path, []byte("hostname = \"mx.sender.test\"\ndata_dir = \"data\"\n[[listen]]\nprotocol = \"smtp\"\naddress = \"127.0.0.1:0\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, _, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	first := exec.Command("tenma", "serve", "-c", path)
	first.Path, first.Err = os.Args[0], nil // which is the program under that name; see TestMain
	told, err := first.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(told)
	for lines.Scan() && !strings.Contains(lines.Text(), "msg=started") {
	}
	waits := &once{do: func() { _ = first.Process.Kill(); _ = first.Wait() }}
	_, err = assemble(cfg, slog.New(slog.NewTextHandler(io.MultiWriter(waits, t.Output()), nil)))
	if err != nil {
		t.Fatal(err)
	}
	if waits.do != nil {
		t.Error("it did not wait")
	}
}
