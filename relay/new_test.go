package relay_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tenma/metrics"
	"tenma/relay"
	"tenma/relay/config"
)

// TestSecondStart: who finds the spool taken by another process has not touched
// that one's mail log, whose last line may look torn because it is being written.
func TestSecondStart(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "relay.toml")
	if err := os.WriteFile(conf, []byte(crashConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, err := config.Load(conf)
	if err != nil {
		t.Fatal(err)
	}
	fs := vfs.NewMem()
	if err := fs.MkdirAll(c.MailLog.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	name := fs.PathJoin(c.MailLog.Dir, "mail.jsonl")
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte(`{"type":"Recep`)); err != nil {
		t.Fatal(err)
	}
	taken := errors.New("taken")
	_, err = relay.New(relay.Options{
		Config: c, FS: fs, Log: slog.New(slog.DiscardHandler),
		OpenSpool: func(config.Spool, func() error, *metrics.Spool, *slog.Logger) (relay.Engine, error) {
			return nil, taken
		},
	})
	if !errors.Is(err, taken) {
		t.Errorf("New: %v", err)
	}
	if _, err := fs.Stat(name); err != nil {
		t.Errorf("the mail log: %v", err)
	}
}
