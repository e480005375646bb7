package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tenma/bench/demo"
	"tenma/cmd/tenma/cli"
	"tenma/relay/config"
)

type demoCommand struct {
	Rate float64       `default:"20" placeholder:"N" help:"Messages a second, at most 10000. Default: ${default}."`
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
		return cli.Misuse("--rate must be above 0 and at most 10000")
	}
	dir, err := os.MkdirTemp("", "tenma-demo-")
	if err != nil {
		return fmt.Errorf("making a data directory: %w", err)
	}
	if !x.Keep {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	cfg, path, err := demoConfig(dir)
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
	context.AfterFunc(ctx, stop) // a second Ctrl-C does not wait
	hint := fmt.Sprintf("In another terminal:\n  %s queue list -c %s\n  tail -f %s\n", program(), path, filepath.Join(cfg.MailLog.Dir, "mail.jsonl"))
	o := demo.Options{Relay: options(cfg, logger(logFile, cfg.Log)), Rate: x.Rate, Out: c.Out, For: x.For, Hint: hint}
	if c.Width() > 0 {
		o.Size = c.Size
	} else {
		fmt.Fprint(c.Out, hint+"\n")
	}
	err = demo.Run(ctx, o)
	if x.Keep {
		fmt.Fprintf(c.Out, "What the relay wrote is in %s.\n", dir)
	}
	return err
}

// demoConfig writes the default configuration into dir, with other ports for
// those that are taken: something else may be running already.
func demoConfig(dir string) (cfg *config.Config, path string, err error) {
	text := "hostname = \"mx1.sender.test\"\n" + strings.Replace(config.DefaultText(), `data_dir = "tenma-data"`, `data_dir = "data"`, 1)
	path = filepath.Join(dir, "tenma.toml")
	load := func() error {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
		cfg, _, err = config.Load(path)
		return err
	}
	if err := load(); err != nil {
		return nil, "", err
	}
	var addresses []string
	for _, l := range cfg.Ingress.Listeners {
		addresses = append(addresses, l.Address)
	}
	for _, l := range cfg.IMAP.Listeners {
		addresses = append(addresses, l.Address)
	}
	for _, l := range cfg.POP3.Listeners {
		addresses = append(addresses, l.Address)
	}
	for _, l := range cfg.Admin.Listeners {
		addresses = append(addresses, l.Address)
	}
	for _, a := range addresses {
		l, err := net.Listen("tcp", a)
		if errors.Is(err, syscall.EADDRINUSE) {
			if l, err = net.Listen("tcp", "127.0.0.1:0"); err == nil {
				text = strings.Replace(text, strconv.Quote(a), strconv.Quote(l.Addr().String()), 1)
			}
		}
		if err != nil {
			return nil, "", fmt.Errorf("looking for a free port: %w", err)
		}
		defer l.Close() // all are held until the last is found
	}
	err = load()
	return cfg, path, err
}
