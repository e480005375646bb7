package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"tenma/bench/demo"
	"tenma/relay/config"
)

type demoCommand struct {
	Rate float64       `default:"20" placeholder:"N" help:"Messages a second."`
	For  time.Duration `placeholder:"TIME" help:"End after this, such as 30s. Without it: run until interrupted."`
	Keep bool          `help:"Keep the data directory at the end."`
}

// Help is the long text.
func (*demoCommand) Help() string {
	return `The same relay as "tenma serve", against DNS and mail providers that exist only inside this process: quick, slow, greylisting, with unknown users, strict about TLS. No mail leaves the machine. Its data goes to a temporary directory, whose configuration other commands can use with -c.`
}

// Run is the command.
func (x *demoCommand) Run(ctx context.Context, c *console) (err error) {
	if x.Rate <= 0 || x.Rate > 10000 {
		return misuse("--rate must be above 0 and at most 10000")
	}
	dir, err := os.MkdirTemp("", "tenma-demo-")
	if err != nil {
		return fmt.Errorf("making a data directory: %w", err)
	}
	if !x.Keep {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	path := filepath.Join(dir, "tenma.toml")
	text := "hostname = \"mx1.sender.test\"\n" + strings.Replace(config.DefaultText(), `data_dir = "tenma-data"`, `data_dir = "data"`, 1)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	cfg, _, err := config.Load(path)
	if err != nil {
		return err
	}
	// The screen belongs to the summary.
	logFile, err := os.Create(filepath.Join(dir, "relay.log"))
	if err != nil {
		return err
	}
	defer logFile.Close()
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	fmt.Fprintf(c.out, "The demo's relay log is %s; in another terminal try:\n\n  tenma queue summary -c %s\n\n", logFile.Name(), path)
	return demo.Run(ctx, demo.Options{
		Relay: options(cfg, logger(logFile, cfg.Log)), Rate: x.Rate, Out: c.out, Terminal: c.width() > 0, For: x.For,
	})
}
